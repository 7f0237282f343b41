"""Base models: what a TOML file says, what is on this machine, and what is fetched."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from astria_emulator import SetupError
from astria_emulator.domain.gallery import load_gallery
from astria_real_backend.commands import models
from astria_real_backend.server_side.bases import DEFAULTS, TOY_FOLDER, Base
from astria_real_backend.server_side.catalog import Catalogue

COMPONENTS = {
    "_class_name": "StableDiffusionPipeline",
    "requires_safety_checker": True,
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "image_encoder": [None, None],
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
}
UNET = "unet/diffusion_pytorch_model.safetensors"
FILES = (
    "scheduler/scheduler_config.json", "text_encoder/config.json", "text_encoder/model.safetensors",
    "tokenizer/vocab.json", "tokenizer/merges.txt", "unet/config.json", UNET,
)  # fmt: skip
# What else a repository on the hub may hold.
NOT_FETCHED = (
    "v1-5-pruned.safetensors", "v1-5-pruned.ckpt", "unet/diffusion_pytorch_model.bin",
    "unet/diffusion_pytorch_model.fp16.safetensors", "unet/model.onnx", "README.md",
    "unet/diffusion_pytorch_model.non_ema.safetensors", "safety_checker/model.safetensors",
    "unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors", "vae_1_0/config.json",
    "text_encoder/flax_model.msgpack",
)  # fmt: skip
COMMIT = "1" * 40
Write = Callable[..., Path]


def write_pipeline(folder: Path, *, without: Sequence[str] = (), more: Iterable[str] = ()) -> Path:
    """A folder in diffusers' layout whose files are empty."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in [*(name for name in FILES if name not in without), *more]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "model_index.json").write_text(json.dumps(COMPONENTS))
    return folder


def base_at(source: Path | str, **more: Any) -> Base:
    return Base(7, "Mine", "sd15", str(source), side=512, **more)


def snapshot(cache: Path, *, ref: str | None = "main") -> Path:
    """The folder of org/mine in the hub's cache."""
    home = cache / "models--org--mine"
    if ref:
        (home / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (home / "refs" / ref).write_text(COMMIT)
    return home / "snapshots" / COMMIT


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue.read(cache=tmp_path / "hub")


@pytest.fixture
def toml(tmp_path: Path) -> Write:
    """Writes a file of models."""

    def write(text: str) -> Path:
        path = tmp_path / "models.toml"
        path.write_text(text)
        return path

    return write


def problems_of(path: Path) -> list[str]:
    with pytest.raises(SetupError) as raised:
        Catalogue.read(path)
    return list(raised.value.problems)


def test_defaults_are_those_of_the_emulator(catalogue: Catalogue) -> None:
    gallery = load_gallery()
    assert {family: gallery.default_base[family] for family in DEFAULTS} == DEFAULTS
    titles = {tune["id"]: tune["title"] for tune in gallery.tunes}
    for family, tune_id in DEFAULTS.items():
        assert catalogue.bases[tune_id].family == family
        assert catalogue.bases[tune_id].title == titles[tune_id]


def test_toy_is_the_default_of_sd15_whatever_the_file_says(toml: Write) -> None:
    path = toml('[[base]]\ntune_id = 690204\nsource = "org/other"')
    toy = Catalogue.read(path, toy=True).bases[690204]
    assert (toy.source, toy.preset, toy.side) == (str(TOY_FOLDER), "toy", 64)
    assert Catalogue.read(path).bases[690204].source == "org/other"


def test_file_adds_a_model(toml: Write) -> None:
    path = toml(
        '[[base]]\ntune_id = 9\ntitle = "Mine"\nfamily = "sdxl1"\nsource = "org/mine"\n'
        'revision = "v2"\npreset = "toy"\nnote = "slow"'
    )
    expected = Base(
        9, "Mine", "sdxl1", "org/mine", side=1024, revision="v2", preset="toy", note="slow"
    )
    found = Catalogue.read(path).bases
    assert list(found) == [9, 666678, 690204, 1504944]
    assert found[9] == expected


def test_replacement_keeps_what_it_leaves_out(toml: Write) -> None:
    path = toml('[[base]]\ntune_id = 1504944\nside = 768\n[[base]]\ntune_id = 690204\ntitle = "A"')
    found = Catalogue.read(path).bases
    assert (found[1504944].side, found[1504944].title) == (768, "Flux1.dev")
    assert (found[690204].side, found[690204].title) == (512, "A")


def test_new_source_has_no_note_of_the_old_one(toml: Write) -> None:
    path = toml('[[base]]\ntune_id = 1504944\nsource = "org/other"')
    assert Catalogue.read(path).bases[1504944].note == ""


@pytest.mark.parametrize(
    ("source", "there", "expected"),
    [
        ("org/name", None, "org/name"),
        ("org/name", "org/name", "{folder}/org/name"),
        ("./org/name", None, "{folder}/org/name"),
        ("../name", None, "{parent}/name"),
        ("name", None, "{folder}/name"),
        ("org/name.safetensors", None, "{folder}/org/name.safetensors"),
        ("/srv/name", None, "/srv/name"),
        ("~/name", None, "/home/jane/name"),
    ],
)
def test_source_is_on_the_hub_or_beside_the_file(
    toml: Write, monkeypatch: pytest.MonkeyPatch, source: str, there: str | None, expected: str
) -> None:
    monkeypatch.setenv("HOME", "/home/jane")
    path = toml(f'[[base]]\ntune_id = 690204\nsource = "{source}"')
    if there:
        (path.parent / there).mkdir(parents=True)
    base = Catalogue.read(path).bases[690204]
    assert base.source == expected.format(folder=path.parent, parent=path.parent.parent)
    assert base.is_local == (expected != "org/name")


ROW = 'tune_id = 9\ntitle = "Mine"\nfamily = "sd15"\nsource = "org/mine"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1", ["key 'a': expected [[base]]"]),
        ("base = 1", ["base 1: expected [[base]]"]),
        ("base = [1]", ["base [1]: expected [[base]]"]),
        (
            "[[base]]\ntune_id = 9",
            ["base 9: title: missing", "base 9: family: missing", "base 9: source: missing"],
        ),
        (f"[[base]]\n{ROW}sise = 64", ["base 9: key 'sise': expected one of tune_id, title"]),
        (f"[[base]]\n{ROW}side = '64'", ["base 9: side '64': expected pixels, a multiple of 8"]),
        (f"[[base]]\n{ROW}side = true", ["base 9: side True: expected pixels"]),
        (f"[[base]]\n{ROW}side = 63", ["base 9: side 63: expected pixels, a multiple of 8"]),
        (f"[[base]]\n{ROW}side = 0", ["base 9: side 0: expected pixels"]),
        (f"[[base]]\n{ROW}preset = 'big'", ["base 9: preset 'big': expected '' or 'toy'"]),
        (f"[[base]]\n{ROW}revision = ''", ["base 9: revision '': expected a branch"]),
        (
            "[[base]]\ntune_id = 0\ntitle = ''\nfamily = 'sd3'\nsource = ['a']",
            [
                "base number 1: tune_id 0: expected a whole number from 1",
                "base number 1: title '': expected text",
                "base number 1: family 'sd3': expected one of flux1, sd15, sdxl1",
                "base number 1: source ['a']: expected a hub id",
            ],
        ),
        (
            f"[[base]]\n{ROW}".replace("= 9", "= [1]"),
            ["base number 1: tune_id [1]: expected a whole number"],
        ),
        (
            "[[base]]\ntune_id = 690204\nfamily = 'sdxl1'",
            ["base 690204: family 'sdxl1': expected sd15, whose default it is"],
        ),
        (f"[[base]]\n{ROW}[[base]]\n{ROW}", ["base 9: given 2 times"]),
        (
            f"[[base]]\n{ROW}side = 1\n[[base]]\n{ROW}side = 2",
            ["base 9: side 1", "base 9: side 2", "base 9: given 2 times"],
        ),
    ],
)
def test_all_that_is_wrong_in_a_file_is_told_at_once(
    toml: Write, text: str, expected: list[str]
) -> None:
    for found, beginning in zip(problems_of(toml(text)), expected, strict=True):
        assert found.startswith(beginning)


def test_file_that_cannot_be_read_is_told(toml: Write, tmp_path: Path) -> None:
    assert problems_of(tmp_path / "no.toml")[0].endswith(
        "cannot be read: No such file or directory"
    )
    assert "no TOML" in problems_of(toml("[[base"))[0]
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'title = "\xe9"')
    assert "no TOML" in problems_of(latin)[0]


def test_whole_folder_is_there(catalogue: Catalogue, tmp_path: Path) -> None:
    base = base_at(write_pipeline(tmp_path / "whole"))
    assert catalogue.absence(base) is None
    assert catalogue.locate(base) == tmp_path / "whole"


@pytest.mark.parametrize(
    ("without", "more", "expected"),
    [
        ((UNET,), (), "unet has no model.safetensors or diffusion_pytorch_model.safetensors"),
        ((UNET,), ("unet/diffusion_pytorch_model.bin",), "only safetensors are read, never pickle"),
        ((UNET,), ("unet/diffusion_pytorch_model.fp16.safetensors",), "unet has no model.safete"),
        (("unet/config.json",), (), "unet has no config.json"),
        (("unet/config.json", UNET), (), "unet is not there"),
        (("scheduler/scheduler_config.json",), (), "scheduler is not there"),
    ],
)
def test_folder_that_lacks_something_is_not_there(
    catalogue: Catalogue, tmp_path: Path, without: Any, more: Any, expected: str
) -> None:
    base = base_at(write_pipeline(tmp_path / "part", without=without, more=more))
    assert expected in str(catalogue.absence(base))
    with pytest.raises(LookupError, match=r"base 7 .*part"):
        catalogue.locate(base)


def test_weights_in_parts_are_there_when_all_parts_are(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    parts = [f"diffusion_pytorch_model-0000{at}-of-00002.safetensors" for at in (1, 2)]
    folder = write_pipeline(tmp_path / "parts", without=(UNET,), more=[f"unet/{parts[0]}"])
    index = {"weight_map": {"conv_in.weight": parts[0], "conv_out.weight": parts[1]}}
    (folder / f"{UNET}.index.json").write_text(json.dumps(index))
    assert str(catalogue.absence(base_at(folder))).endswith(f"unet has no {parts[1]}")
    (folder / "unet" / parts[1]).touch()
    assert catalogue.absence(base_at(folder)) is None
    (folder / f"{UNET}.index.json").write_text("[]")
    assert "has no weight_map" in str(catalogue.absence(base_at(folder)))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"unet": []}', '{"unet": [null, null]}'])
def test_folder_whose_index_names_nothing_is_not_there(
    catalogue: Catalogue, tmp_path: Path, text: str
) -> None:
    (tmp_path / "model_index.json").write_text(text)
    assert "does not name components" in str(catalogue.absence(base_at(tmp_path)))


def test_paths_that_are_no_model_are_not_there(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").touch()
    (tmp_path / "a.ckpt").touch()
    (tmp_path / "a.txt").touch()
    (tmp_path / "empty").mkdir()
    expected = {
        "a.safetensors": "config '': expected a folder",
        "a.ckpt": "never pickle", "a.txt": "expected .safetensors",
        "empty": "no model_index.json", "b.safetensors": "is not there", "b": "is not there",
    }  # fmt: skip
    for name, part in expected.items():
        assert part in str(catalogue.absence(base_at(tmp_path / name))), name


@pytest.mark.parametrize(
    ("ref", "revision"),
    [("main", None), ("fp16", "fp16"), (None, COMMIT), ("refs/pr/1", "refs/pr/1")],
)
def test_model_of_the_hub_is_found_in_its_cache(
    catalogue: Catalogue, ref: str | None, revision: str | None
) -> None:
    base = base_at("org/mine", revision=revision)
    assert "`astria-emulator models --fetch 7` gets it" in str(catalogue.absence(base))
    folder = write_pipeline(snapshot(catalogue.cache, ref=ref))
    assert catalogue.locate(base) == folder
    assert "not in" in str(catalogue.absence(base_at("org/mine", revision="other")))
    hub = pytest.importorskip("huggingface_hub", reason="needs astria-emulator[real]")
    theirs = hub.snapshot_download(
        "org/mine", revision=revision, cache_dir=catalogue.cache, local_files_only=True
    )
    assert Path(theirs) == folder


def test_cache_is_where_the_hub_keeps_it() -> None:
    """As its variables say, which it reads when it is imported."""
    pytest.importorskip("huggingface_hub", reason="needs astria-emulator[real]")
    script = (
        "from astria_real_backend.server_side.catalog import Catalogue\n"
        "catalogue = Catalogue.read()\n"
        "print(catalogue.absence(catalogue.bases[690204]))"
    )
    environment = {**os.environ, "HF_HOME": "~/y", "HOME": "/home/jane"}
    environment = {k: v for k, v in environment.items() if k != "HF_HUB_CACHE"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, check=True, text=True
    )
    assert done.stdout.startswith("not in /home/jane/y/hub;")


@dataclass
class Hub:
    """Stands for huggingface.co, with one model."""

    files: Sequence[str] = (*FILES, *NOT_FETCHED)
    error: Exception | None = None
    calls: list[Any] = field(default_factory=list)
    look_up: Callable[..., Any] = lambda *source, **more: None

    def download(
        self,
        source: str,
        *,
        revision: Any,
        cache_dir: Path | None,
        allow_patterns: Any = None,
        local_files_only: bool = False,
    ) -> str:
        from huggingface_hub import constants
        from huggingface_hub.utils import filter_repo_objects

        if local_files_only:
            return str(
                self.look_up(source, revision=revision, cache_dir=cache_dir, local_files_only=True)
            )
        self.calls.append((source, revision, cache_dir))
        if self.error:
            raise self.error
        names = filter_repo_objects(self.files, allow_patterns=allow_patterns)
        cache = cache_dir or Path(constants.HF_HUB_CACHE)
        folder = write_pipeline(snapshot(cache), without=FILES, more=names)
        return str(folder)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """What `snapshot_download` reaches."""
    huggingface_hub = pytest.importorskip("huggingface_hub", reason="needs astria-emulator[real]")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    hub = Hub(look_up=huggingface_hub.snapshot_download)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.download)
    return hub


def test_fetch_downloads_what_loading_needs_and_no_more(catalogue: Catalogue, hub: Hub) -> None:
    folder = catalogue.fetch(base_at("org/mine"))
    got = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert got == {*FILES, "model_index.json"}
    assert {*hub.calls} == {("org/mine", None, catalogue.cache)}


def test_fetch_asks_for_nothing_when_all_is_there(catalogue: Catalogue, hub: Hub) -> None:
    base = base_at("org/mine")
    folder = write_pipeline(snapshot(catalogue.cache))
    assert catalogue.fetch(base) == folder
    assert hub.calls == []


def test_fetch_of_a_folder_that_is_not_there_asks_for_nothing(
    catalogue: Catalogue, hub: Hub, tmp_path: Path
) -> None:
    with pytest.raises(SetupError, match=r"base 7 .*no is not there"):
        catalogue.fetch(base_at(tmp_path / "no"))
    assert hub.calls == []


def test_fetch_tells_of_weights_that_are_not_safetensors(catalogue: Catalogue, hub: Hub) -> None:
    hub.files = [name for name in hub.files if name != UNET]
    with pytest.raises(SetupError, match=r"unet has no model\.safetensors or"):
        catalogue.fetch(base_at("org/mine"))


def test_fetch_is_refused_offline(
    catalogue: Catalogue, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SetupError, match=r"base 7 org/mine: .*forbids"):
        catalogue.fetch(base_at("org/mine"))
    assert hub.calls == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GatedRepoError", "gated: accept its terms on https://huggingface.co/org/mine"),
        ("RepositoryNotFoundError", "the hub has no such model"),
        ("RevisionNotFoundError", "revision 'v9': expected a branch, tag or commit"),
        ("HfHubHTTPError", "the hub answers with status 503"),
        ("LocalEntryNotFoundError", "the hub cannot be reached"),
        ("", "ConnectionResetError while it was fetched"),
    ],
)
def test_fetch_that_fails_is_told_without_the_hubs_words(
    catalogue: Catalogue, hub: Hub, name: str, expected: str
) -> None:
    from huggingface_hub import errors

    hub.error = ConnectionResetError("hf_secret")
    if name == "LocalEntryNotFoundError":
        hub.error = errors.LocalEntryNotFoundError("hf_secret")
    elif name:
        response = SimpleNamespace(headers={}, request=None, status_code=503)
        hub.error = getattr(errors, name)("hf_secret", response=response)
    with pytest.raises(SetupError) as raised:
        catalogue.fetch(base_at("org/mine", revision="v9"))
    [problem] = raised.value.problems
    assert problem.startswith(f"base 7 org/mine: {expected}")
    assert "hf_secret" not in problem


def test_fetch_without_the_package_is_told(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "looking for it needs a package" in str(catalogue.absence(base_at("org/mine")))
    with pytest.raises(SetupError, match=r"pip install 'astria-emulator\[real\]'"):
        catalogue.fetch(base_at("org/mine"))


def test_catalogue_is_read_without_the_heavy_packages() -> None:
    script = (
        "from astria_real_backend.server_side.catalog import Catalogue\n"
        "catalogue = Catalogue.read(toy=True)\n"
        "assert catalogue.absence(catalogue.bases[690204]) is None\n"
        "import astria_real_backend.commands, sys; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True,
        check=True, text=True,
    )  # fmt: skip
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "astria_real_backend" in loaded
    heavy = {"torch", "diffusers", "transformers", "huggingface_hub", "safetensors", "numpy", "PIL"}
    assert loaded & heavy == set()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Runs the command with an empty cache."""
    pytest.importorskip("huggingface_hub", reason="needs astria-emulator[real]")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return lambda *arguments: CliRunner().invoke(models, arguments)


def test_hub_is_asked_without_torch() -> None:
    pytest.importorskip("huggingface_hub", reason="needs astria-emulator[real]")
    script = (
        "from astria_real_backend.server_side.catalog import Catalogue; import sys\n"
        "list(Catalogue.read().rows()); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "huggingface_hub" in loaded
    heavy = {"torch", "diffusers", "transformers", "safetensors", "numpy", "PIL"}
    assert loaded & heavy == set()


def test_models_lists_what_is_there_and_why_the_rest_is_not(
    run: Callable[..., Any], toml: Write, tmp_path: Path
) -> None:
    write_pipeline(tmp_path / "mine")
    path = toml("[[base]]\n" + ROW.replace("org/mine", "mine"))
    found = run("--models", str(path))
    lines = found.stdout.splitlines()
    assert found.exit_code == 0
    assert lines[0].split() == ["id", "family", "here", "source", "title"]
    assert lines[1].split() == ["9", "sd15", "yes", str(tmp_path / "mine"), "Mine"]
    assert lines[2].split()[:3] == ["666678", "sdxl1", "no"]
    assert lines[3].strip().startswith(f"not in {tmp_path / 'hub'}")
    assert "non-commercial" in lines[-1]


def test_models_knows_the_toy(run: Callable[..., Any]) -> None:
    assert str(TOY_FOLDER) in run("--toy").stdout


def test_models_fetches_what_it_is_asked_for(
    run: Callable[..., Any], hub: Hub, toml: Write, tmp_path: Path
) -> None:
    path = toml(f"[[base]]\n{ROW}")
    found = run("--models", str(path), "--fetch", "9")
    assert found.exit_code == 0
    assert str(tmp_path / "hub" / "models--org--mine") in found.stderr
    assert ["9", "sd15", "yes"] in [line.split()[:3] for line in found.stdout.splitlines()]


def test_models_exits_with_1_when_a_fetch_fails(run: Callable[..., Any], hub: Hub) -> None:
    hub.error = ConnectionResetError()
    found = run("--fetch", "690204", "--fetch", "666678")
    assert found.exit_code == 1
    assert "base 690204" in found.stderr
    assert "base 666678" in found.stderr
    assert "1504944" in found.stdout


def test_models_refuses_an_id_that_it_does_not_know(run: Callable[..., Any]) -> None:
    found = run("--fetch", "5")
    assert found.exit_code == 2
    assert "5: expected 666678, 690204, 1504944" in found.stderr


def test_single_file_needs_a_folder_with_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "style.safetensors").touch()
    (tmp_path / "sd15").mkdir()
    (tmp_path / "sd15" / "model_index.json").write_text("{}")
    row = '[[base]]\ntune_id = 7\ntitle = "a"\nfamily = "sd15"\nsource = "style.safetensors"\n'
    for config, absence in (("", "expected a folder"), ('config = "sd15"', None)):
        (tmp_path / "models.toml").write_text(f"{row}{config}\n")
        found = Catalogue.read(tmp_path / "models.toml", cache=tmp_path)
        told = found.absence(found.bases[7])
        assert (absence in told) if absence and told else told is absence
    assert found.bases[7].config == str(tmp_path / "sd15")


def test_command_is_one_of_the_emulators(monkeypatch: pytest.MonkeyPatch) -> None:
    from astria_emulator.__main__ import main

    shown = CliRunner().invoke(main, ["--help"])
    assert "models" in shown.output
    listed = CliRunner().invoke(main, ["models", "--toy"])
    assert (listed.exit_code, "Toy base" in listed.output) == (0, True)
