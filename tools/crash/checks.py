"""What is lost, was done twice, or is left over."""

import io
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zipfile import ZipFile

import requests

from tools.crash.clients import Client, expect
from tools.crash.ledger import MARK, UNSURE, Ledger
from tools.crash.servers import Server

SETTLE_SECONDS = 600.0
DATA, TEMPORARY = "data", "tmp"  # folders on the disk
LOST, DOUBLED, LEFT_OVER, WRONG = "lost", "doubled", "left over", "wrong"
KINDS = (LOST, DOUBLED, LEFT_OVER, WRONG)


@dataclass(frozen=True)
class Problem:
    """Something that must not be. kind: one of KINDS."""

    kind: str
    text: str


def note_unknown(ledger: Ledger, client: Client) -> None:
    """Note the deliveries that may or may not have been sent."""
    for row in client.ask("GET", "/_emulator/callbacks").json():
        if row["state"] == "unknown":
            ledger.unknown.add(urlsplit(row["url"]).path)


def settle(servers: list[Server], client: Client) -> Iterator[Problem]:
    """Wait until all work has ended, also that of killed servers."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        for server in servers:
            requests.post(f"{server.url}/_emulator/finish", timeout=SETTLE_SECONDS)
        jobs = client.ask("GET", "/_emulator/jobs").json()
        left = [job for job in jobs if job["kind"] != "expire_tune"]
        if not left:
            return
        if time.monotonic() > deadline:
            yield Problem(LOST, f"{len(left)} jobs do not end, such as {left[:3]}")
            return
        time.sleep(0.5)


def list_tunes(client: Client) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = []
    before = ""
    while True:
        response = client.ask("GET", f"/tunes?limit=120{before}")
        expect(response, 200)
        page = response.json()
        if not page:
            return listed
        listed += page
        before = f"&before_id={page[-1]['id']}"


# -- objects and callbacks -------------------------------------------------------------------------
def compare(ledger: Ledger, client: Client) -> Iterator[Problem]:
    """Compare what the server shows, after all work has ended, with what it has answered."""
    listed = list_tunes(client)
    ids, titles = (Counter(tune[name] for tune in listed) for name in ("id", "title"))
    yield from (Problem(DOUBLED, f"id {id} is listed {n} times") for id, n in ids.items() if n > 1)
    yield from (Problem(DOUBLED, f"tune {t!r} is {n} tunes") for t, n in titles.items() if n > 1)
    by_id = {tune["id"]: tune for tune in listed}
    world = ledger.world
    for id, title in world.tunes.items():
        tune = by_id.get(id)
        if id in world.deleted:
            if tune and tune["title"] == title:
                yield Problem(LEFT_OVER, f"tune {title} was deleted, and is there")
        elif tune is None or tune["title"] != title:
            if id not in world.deleting:
                yield _lost(ledger, title, "tune {} is lost")
        else:
            yield from _compare_tune(ledger, client, tune)
    known = {title for id, title in world.tunes.items() if id not in world.deleted}
    for title in titles.keys() - known:
        if not title.startswith(UNSURE):
            yield Problem(LEFT_OVER, f"tune {title!r} was never answered, or was replaced")
    yield from compare_callbacks(ledger)


def _compare_tune(ledger: Ledger, client: Client, tune: dict[str, Any]) -> Iterator[Problem]:
    id, title = tune["id"], tune["title"]
    if not tune["trained_at"]:
        yield _lost(ledger, title, "tune {} has not been trained")
    prompts = client.ask("GET", f"/tunes/{id}/prompts?limit=1000").json()
    texts = Counter(prompt["text"] for prompt in prompts)
    yield from (Problem(DOUBLED, f"prompt {t!r} is {n} prompts") for t, n in texts.items() if n > 1)
    if f"nested in {title}" not in texts:
        yield _lost(ledger, title, "the nested prompt of tune {} is lost")
    by_id = {prompt["id"]: prompt for prompt in prompts}
    for prompt_id, text in ledger.world.prompts.get(id, {}).items():
        if by_id.get(prompt_id, {}).get("text") != text:
            yield _lost(ledger, text, "prompt {} is lost")
    for prompt in prompts:
        if not prompt["trained_at"] or prompt.get("user_error") or not prompt["images"]:
            text = prompt["text"].removeprefix("nested in ")
            yield _lost(ledger, text, "prompt {} has no pictures")
    if photo := ledger.world.photos.get(id):
        path = urlsplit(tune["orig_images"][0]).path
        if client.ask("GET", path).content != photo:
            yield _lost(ledger, title, "the photograph of tune {} is lost")


def compare_callbacks(ledger: Ledger) -> Iterator[Problem]:
    for path in ledger.world.callbacks():
        if not ledger.received[path] and path not in ledger.unknown:
            text = path.rpartition("/")[2]
            yield _lost(ledger, text, f"callback {path} did not come, and is not unknown")
    for path, times in ledger.received.items():
        if times > 1 + ledger.repeated[path]:
            text = path.rpartition("/")[2]
            during = ledger.during.get(text)
            yield Problem(DOUBLED, f"callback {path} came {times} times ({during})")


def _lost(ledger: Ledger, name: str, text: str) -> Problem:
    """name: a tune's title or a prompt's text, from which its event is known."""
    return Problem(LOST, f"{text.format(name)} (made during {ledger.during.get(name)})")


# -- files -----------------------------------------------------------------------------------------
def compare_files(root: Path, client: Client) -> Iterator[Problem]:
    """Compare the files in the data folder with those that the server exports."""
    response = client.ask("GET", "/_emulator/state")
    expect(response, 200)
    with ZipFile(io.BytesIO(response.content)) as archive:
        document = json.loads(archive.read("state.json"))
    keys = {key for key, file in document["files"].items() if "bytes" in file}
    stored = Counter(path.name.partition("-")[0] for path in _stored(root))
    yield from (Problem(LOST, f"file {key} is not on the disk") for key in keys - stored.keys())
    for key, times in stored.items():
        if times != (key in keys):
            yield Problem(LEFT_OVER, f"file {key} is on the disk {times} times")
    titles = {row["data"]["title"] for row in document["tables"].get("tune", ())}
    yield from find_marks(root, titles)


def compare_with_nothing(root: Path) -> Iterator[Problem]:
    """Tell what is left when everything has been deleted, and no server runs."""
    places = [path for path in root.iterdir() if path.name not in (DATA, TEMPORARY)]
    places += (root / TEMPORARY).iterdir()
    # The files of the database stay.
    places += [path for path in (root / DATA).iterdir() if path.is_dir() and path.name != "files"]
    yield from (Problem(LEFT_OVER, str(path.relative_to(root))) for path in places)
    yield from (Problem(LEFT_OVER, f"file {path.name}") for path in _stored(root))
    yield from find_marks(root, set())


def find_marks(folder: Path, titles: set[str]) -> Iterator[Problem]:
    """Find photographs of other tunes than those of `titles`."""
    for path in folder.rglob("*"):
        if path.is_file():
            # One mark in a row is enough.
            found = {part.partition(b";")[0] for part in path.read_bytes().split(MARK)[1:]}
            for title in sorted(name.decode("latin-1") for name in found):
                if title not in titles:
                    place = path.relative_to(folder)
                    yield Problem(LEFT_OVER, f"the photograph of tune {title}, in {place}")


def _stored(root: Path) -> Iterator[Path]:
    return (path for path in (root / DATA / "files").glob("*/*") if path.is_file())
