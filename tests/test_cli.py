"""The official command line, unmodified, against the emulator.

It is one Python script that calls curl: https://github.com/astriaai/cli. ASTRIA_CLI names the copy.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from astria_emulator.app import Emulator
from tests import PATIENCE_SECONDS

SCRIPT = Path(os.environ.get("ASTRIA_CLI", ""))
START = "2026-01-01T00:00:00Z"
URL = "https://example.com/photos/street.jpg"

pytestmark = [
    pytest.mark.skipif(not SCRIPT.is_file(), reason="ASTRIA_CLI does not name the command line"),
    pytest.mark.skipif(not shutil.which("curl"), reason="the command line needs curl"),
]


@dataclass(frozen=True)
class Cli:
    """Runs the command line as one logged-in user, in a folder of its own."""

    script: Path
    folder: Path
    environment: dict[str, str]

    def text(self, *arguments: Any) -> str:
        """Standard output of a command that must succeed."""
        ended = self.run(*arguments)
        assert ended.returncode == 0, ended.stderr
        assert ended.stderr == ""
        return ended.stdout

    def run(self, *arguments: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(self.script), *map(str, arguments)],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )

    def __call__(self, *arguments: Any) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.text(*arguments))

    def picture(self, name: str) -> Path:
        """A small picture file."""
        path = self.folder / name
        Image.new("RGB", (64, 64), (90, 140, 60)).save(path)
        return path

    def reference(self, title: str, name: str) -> int:
        """The id of a new FaceID tune."""
        options = ("--title", title, "--name", name, "--image-url", URL)
        return self("tunes", "create", *options)["id"]


@pytest.fixture
def make_cli(
    tmp_path: Path, make_app: Callable[..., Emulator], serve: Callable[..., str]
) -> Iterator[Callable[..., Cli]]:
    """Makes the command line, each for a server of its own; afterwards its file is as it was."""
    before = SCRIPT.read_bytes()

    def make(script: Path = SCRIPT, clock: str = "", **more: str) -> Cli:
        url = serve(make_app(clock=clock, train_seconds=0, prompt_seconds=0))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "ASTRIA_BASE_URL": url,
            "ASTRIA_CONFIG_DIR": str(tmp_path / "config"),
            "NO_PROXY": "127.0.0.1",
            **more,
        }
        return Cli(script.resolve(), tmp_path, environment)

    yield make
    assert SCRIPT.read_bytes() == before


@pytest.fixture
def cli(make_cli: Callable[..., Cli]) -> Cli:
    made = make_cli(ASTRIA_NO_AUTO_UPGRADE="1")
    made.text("login", "--api-key", "sd_cli")
    return made


def test_cli_logs_in_and_shows_the_account_and_the_models(make_cli):
    cli = make_cli(ASTRIA_NO_AUTO_UPGRADE="1")
    assert "not authenticated" in cli.run("whoami").stderr
    assert "Logged in as Developer" in cli.text("login", "--api-key", "sd_cli")
    assert cli("whoami")["usd_balance_mc"] == 100_000_000
    models = cli("models")
    assert (models["source"], models["default"]) == ("server", "gemini")
    assert cli("models", "--refresh") == models
    assert cli("config")["authenticated"] is True
    assert "seedance2_fast_720p (default)" in cli.text("video", "--help")
    assert "Removed" in cli.text("logout")


def test_cli_is_refused_in_words_when_the_key_is_wrong(make_cli):
    ended = make_cli().run("login", "--api-key", "wrong")
    assert (ended.returncode, "HTTP 401" in ended.stderr) == (1, True)


def test_cli_keeps_its_own_file_when_it_may_upgrade_itself(make_cli, tmp_path):
    copy = Path(shutil.copy(SCRIPT, tmp_path / "astria"))
    cli = make_cli(copy)
    cli.text("login", "--api-key", "sd_cli")
    cli("models", "--refresh")
    cli("whoami")  # this one reads the cached models, and would upgrade by them
    assert copy.read_bytes() == SCRIPT.read_bytes()


def test_cli_creates_lists_and_updates_tunes(cli):
    files = ("--image", cli.picture("1.jpg"), "--image", cli.picture("2.png"))
    about = ("--title", "Jane Doe", "--name", "woman", "--description", "green eyes")
    jane = cli("tunes", "create", *about, *files)
    assert (jane["model_type"], len(jane["orig_images"])) == ("faceid", 2)
    dress = cli.reference("Red dress", "dress")

    assert [tune["id"] for tune in cli("tunes", "list")] == [dress, jane["id"]]
    assert [tune["id"] for tune in cli("tunes", "list", "--title", "jane")] == [jane["id"]]
    assert [tune["id"] for tune in cli("tunes", "list", "--name", "dress")] == [dress]
    page = cli("tunes", "list", "--model-type", "faceid", "--limit", 1, "--offset", 1)
    assert [tune["id"] for tune in page] == [jane["id"]]
    partners = cli("tunes", "list", "--gallery", "--branch", "partner-1")
    assert {tune["title"] for tune in partners} == {"Seedream", "GPT Image 2"}

    changed = cli("tunes", "update", dress, "--title", "Blue dress", "--description", "silk")
    assert (changed["title"], changed["name"]) == ("Blue dress", "dress")
    assert cli("tunes", "get", dress) == changed


def test_cli_generates_waits_for_and_downloads_pictures(cli):
    options = ("--aspect-ratio", "1:1", "--seed", 7)
    made = cli("generate", "--text", "a lighthouse", *options, "--wait")
    assert (len(made["images"]), made["seed"], made["aspect_ratio"]) == (2, 7, "1:1")
    other = cli("generate", "--model", "seedream", "--text", "a pier", "--num-images", 1)
    ids = [made["id"], other["id"]]
    *lines, summary = map(json.loads, cli.text("prompts", "wait", *ids).splitlines())
    assert summary == {"total": 2, "succeeded": 2, "failed": 0, "timed_out": []}
    assert {line["status"] for line in lines} == {"done"}
    totals = cli("download", *ids, "--out", "got")["totals"]
    assert totals == {"prompts": 2, "downloaded": 3, "failed": 0}
    for path in (cli.folder / "got").iterdir():
        with Image.open(path) as opened:
            assert opened.format == "JPEG"


def test_cli_generates_from_files_and_addresses(make_cli):
    # A virtual clock moves with each request, so --wait finds the pictures at its first look.
    cli = make_cli(clock=START, ASTRIA_NO_AUTO_UPGRADE="1", ASTRIA_API_KEY="sd_cli")
    options = ("--reference", f"dress={cli.picture('gown.jpg')}", "--reference", f"woman={URL}")
    dressed = cli("generate", "--text", "in the alps", *options, "--num-images", 1, "--wait")
    assert [tune["title"] for tune in dressed["tunes"]] == ["gown", "street"]
    assert dressed["text"].endswith("woman in the alps")
    pictures = [dressed["images"]]
    for source in (cli.picture("room.jpg"), URL):
        edited = cli("generate", "--text", "at night", "--input-image", source, "--wait")
        assert edited["input_image"].startswith(cli.environment["ASTRIA_BASE_URL"])
        pictures.append(edited["images"])
    assert [len(images) for images in pictures] == [1, 1, 1]


def test_cli_makes_a_video_that_is_an_mp4(cli):
    options = ("--video-model", "seedance2_fast_720p", "--duration", 5, "--num-images", 1)
    motion = ("--video-prompt", "she turns around", "--generate-audio")
    references = (
        "--image-reference",
        cli.picture("1.jpg"),
        "--image-reference",
        cli.picture("2.jpg"),
    )
    made = cli("video", *options, *motion, *references, "--wait")
    saved = cli("download", made["id"])["prompts"][0]["saved"]
    assert [(cli.folder / path).read_bytes()[4:8] for path in saved] == [b"ftyp"]
    assert [prompt["id"] for prompt in cli("prompts", "list", "--is-video")] == [made["id"]]


def test_cli_lists_and_updates_prompts(cli):
    first, second = (
        cli("generate", "--text", text, "--num-images", 1) for text in ("a boat", "a red kite")
    )
    assert [prompt["id"] for prompt in cli("prompts", "list", "--limit", 1)] == [second["id"]]
    filters = ("--text", "BOAT", "--today", "--is-api", "--tune-id", first["tune_id"])
    [found] = cli("prompts", "list", *filters, "--expand", "debug_images")
    assert (found["id"], found["debug_images"]) == (first["id"], [])
    assert cli("prompts", "list", "--liked") == []

    cli("prompts", "update", first["id"], "--tune", first["tune_id"], "--base-pack-id", 260)
    shown = cli("prompts", "get", first["id"], "--model", "gemini")
    assert (shown["id"], shown["base_pack_id"]) == (first["id"], 260)
    [bound] = cli("prompts", "list", "--base-pack-id", 260)
    assert bound["id"] == first["id"]


def test_cli_authors_a_pack(cli):
    pack = cli("packs", "create", "--title", "Spring lookbook", "--subtitle", "Ours")
    assert (pack["slug"], pack["model_type"]) == ("spring-lookbook", "faceid")
    text = f"<faceid:{cli.reference('Jane', 'woman')}:1> woman on a pier"
    template = cli("generate", "--text", text, "--pack-id", pack["id"], "--num-images", 1)
    shown = cli("packs", "get", "spring-lookbook")
    assert [prompt["id"] for prompt in shown["template_prompts"]] == [template["id"]]
    assert [row["slug"] for row in cli("packs", "list", "--limit", 5)] == ["spring-lookbook"]
    [listed] = cli("prompts", "list", "--pack-id", pack["id"])
    assert listed["pack_id"] == pack["id"]


def test_cli_runs_packs(cli):
    photos = ("--image", cli.picture("1.jpg"), "--image", cli.picture("2.jpg"))
    who = ("--title", "Jane Doe", "--name", "woman")
    tune = cli("packs", "run", "corporate-headshots", *who, *photos, "--num-images", 1)
    assert (tune["title"], len(tune["orig_images"])) == ("Jane Doe", 2)
    assert len(cli("prompts", "list", "--base-pack-id", 260)) == 2

    again = ("--tune-id", tune["id"], "--prompt-ids", 18771572, "--attr", "super_resolution=true")
    assert cli("packs", "run", "corporate-headshots", *again)["message"] == "Prompts created"
    assert len(cli("prompts", "list", "--base-pack-id", 260)) == 3

    pair = ("--tune-id", cli.reference("Jane", "woman"), "--tune-id", cli.reference("Red", "dress"))
    style = ("--brief", "golden hour, Lisbon", "--aspect-ratio", "1:1", "--no-inpaint-faces")
    run = cli("packs", "run", "lookbook", *pair, *style)
    made = cli("prompts", "list", "--order-id", run["order"]["id"])
    assert [prompt["id"] for prompt in made] == run["prompt_ids"][::-1]
    assert {prompt["aspect_ratio"] for prompt in made} == {"1:1"}
    assert all("golden hour, Lisbon" in prompt["text"] for prompt in made)


def test_cli_keeps_workspaces_and_their_landing_pages(cli):
    studio = cli("workspaces", "create", "--title", "Studio")
    assert cli("workspaces", "list") == [{"id": studio["id"], "title": "Studio", "slug": "studio"}]
    here = ("--workspace", studio["id"])
    page = cli.folder / "page.html"
    page.write_text("<h1>Grüße</h1>", encoding="utf-8")
    cli("landing", "set", *here, "--html-file", page)
    assert cli.text("landing", "get", *here, "--html") == "<h1>Grüße</h1>\n"
    cli("landing", "set", *here, "--brief", "a calm page")
    assert cli("landing", "get", *here)["brief"] == "a calm page"
    made = cli("generate", *here, "--text", "a boat", "--num-images", 1)
    assert cli("prompts", "list") == []
    for scope in (studio["id"], "all"):
        assert [row["id"] for row in cli("prompts", "list", "-w", scope)] == [made["id"]]


def test_cli_caches_what_the_account_has(cli):
    tune = cli.reference("Jane", "woman")
    text = f"<faceid:{tune}:1> woman by the sea"
    prompt = cli("generate", "--text", text, "--num-images", 1)["id"]
    assert "refreshed" in cli.text("cache", "refresh")
    assert cli("cache", "get", "tunes", tune)["title"] == "Jane"
    assert [row["id"] for row in cli("cache", "find", "prompts", "--text", "sea")] == [prompt]
    assert [row["id"] for row in cli("cache", "uses", tune)] == [prompt]
    assert cli("cache", "stats")["counts"] == {"tunes": 1, "prompts": 1, "packs": 0}


def test_cli_reaches_the_raw_api(cli):
    fields = ("tune[title]=Jane", "tune[name]=woman", "tune[branch]=fast")
    picture = f"tune[images][]=@{cli.picture('1.jpg')}"
    forms = [part for item in (*fields, picture) for part in ("--form", item)]
    tune = cli("api", "POST", "/tunes", *forms)
    assert tune["branch"] == "fast"
    data = json.dumps({"prompt": {"text": "ohwx woman", "num_images": 1}})
    prompt = cli("api", "post", f"/tunes/{tune['id']}/prompts", "--data", data)
    assert [row["id"] for row in cli("api", "GET", "/tunes", "--query", "limit=1")] == [tune["id"]]
    assert "message" in cli("api", "DELETE", f"/prompts/{prompt['id']}")
    assert cli.run("api", "GET", f"/prompts/{prompt['id']}").returncode == 1
