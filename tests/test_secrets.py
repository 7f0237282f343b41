"""Keys, prompts, titles, query strings, file names and tokens are in no log, whatever happens.

Each holds one word that nothing else does.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from astria_emulator.api.handlers import tunes
from astria_emulator.config import PREFIX
from tests import PATIENCE_SECONDS

WORD = "hush"
KEY = f"sd_{WORD}_key"
TOKEN = f"{WORD}-control"
# A module for --backend: its errors hold what it was given.
BACKEND = f"""
import io
import logging
from astria_emulator import BackendError
from astria_emulator.mock.backend import MockBackend

class Fails(MockBackend):
    def __init__(self, config):
        super().__init__(train_seconds=0, prompt_seconds=0)

    def generate(self, jobs, report):
        try:
            {{}}[jobs[0].text]
        except KeyError as error:
            if "sentence" in jobs[0].text:
                raise BackendError("It cannot be drawn.") from error
            raise RuntimeError(jobs[0].text) from error

    def inspect(self, image, name):
        if name == "{WORD}":
            raise RuntimeError(name)
        from PIL import Image
        with Image.open(io.BytesIO(image)) as opened:
            logging.getLogger("PIL").info("%s", opened.size)
        return super().inspect(image, name)
"""

Ask = Callable[..., int]  # method, path, json=, data=, files=, headers= -> status


def photograph(kind: str) -> bytes:
    """A picture that says whose it is."""
    out = BytesIO()
    picture = Image.new("RGB", (64, 64), "teal")
    about = picture.getexif()
    about[0x010E] = about[0x013B] = WORD  # description, artist
    picture.save(out, kind, exif=about)
    return out.getvalue()


def urls_of(receiver: str) -> list[str]:
    """Addresses to call back: answered, refused, blocked, unreadable."""
    places = (receiver, "127.0.0.1:1", "169.254.169.254", "93.184.216.34", "127.0.0.1:0", "[::1")
    secret = f"{WORD}-user:{WORD}-password@"
    return [f"http://{secret}{place}/hook?{WORD}=1&b={WORD}#{WORD}" for place in places]


def live(ask: Ask, receiver: str) -> None:
    """All that a client does, right and wrong."""
    callbacks = urls_of(receiver)
    address = f"http://{WORD}:{WORD}@127.0.0.1:1/1.jpg?{WORD}#{WORD}"
    prompt = {"text": f"{WORD} woman", "negative_prompt": WORD}
    tune = {
        "title": f"{WORD} title", "name": WORD, "branch": "fast", "token": WORD,
        "characteristics": {WORD: WORD}, "callback": callbacks[0],
    }  # fmt: skip
    nested = [{**prompt, "callback": callback} for callback in callbacks]
    form = {f"tune[{name}]": value for name, value in tune.items() if name != "characteristics"}
    form |= {"tune[prompts_attributes][][text]": WORD}
    headers = {
        **dict.fromkeys(("X-Hush", "X-Forwarded-For", "Referer", "User-Agent"), WORD),
        "Cookie": f"a={WORD}",
    }

    # what is right, or refused by the door
    picture = (f"{WORD}.jpg", photograph("JPEG"), "image/jpeg")
    files = [("tune[images][]", picture)]
    assert ask("POST", "/tunes", data=form, files=files, headers=headers) == 201
    assert ask("POST", "/tunes", json={"tune": {**tune, "image_urls": [address]}}) in (201, 422)
    home = 5_000_001
    for callback in callbacks:
        changed = {"tune": {"title": f"{WORD} {callback}", "name": WORD}}
        assert ask("PATCH", f"/tunes/{home}", json=changed) == 200
        body = {**prompt, "callback": callback, "input_image_url": address}
        assert ask("POST", f"/tunes/{home}/prompts", json={"prompt": body}) in (201, 422)
        body = {**prompt, "callback": callback}
        assert ask("POST", f"/tunes/{home}/prompts", json={"prompt": body}) == 201
    for text in (f"{WORD} <lora:{home}:1>", f"sentence {WORD}", f"{WORD} --video"):
        ask("POST", "/tunes/690204/prompts", json={"prompt": {**prompt, "text": text}})
    ask("POST", "/tunes", json={"tune": {**tune, "image_urls": [address],
                                         "prompts_attributes": nested}})  # fmt: skip
    form = {"prompt[text]": WORD, "prompt[tune_id]": "690204"}
    assert ask("POST", "/prompts", data=form, files=[("prompt[input_image]", picture)]) == 201
    ask("POST", "/themes", json={"theme": {"theme": WORD, "tune_ids": [home]}})
    ask("POST", "/p", json={"pack": {"title": f"{WORD} pack"}})
    run = {
        "tune_ids": [home], "brief": WORD, "prompts_callback": callbacks[1],
        "characteristics": {WORD: WORD}, "prompt_attributes": {"callback": callbacks[2]},
    }  # fmt: skip
    assert ask("POST", "/p/260/tunes", json={"tune": run}) == 201
    for kind in ("JPEG", "TIFF", "PNG"):
        image = (f"{WORD}.{kind}", photograph(kind), "image/jpeg")
        ask("POST", "/images/inspect", data={"name": "man"}, files=[("file", image)])

    # what is wrong
    deep = {"a": {WORD: WORD}}
    for wrong in (WORD, [WORD], deep, 10**30, True, f"{WORD}\n{WORD}"):
        fields = ("title", "name", "callback", "steps", "base_tune_id", "token", "image_urls",
                  "characteristics", "face_crop", "prompts_attributes")  # fmt: skip
        for field in fields:
            ask("POST", "/tunes", json={"tune": {**tune, "image_urls": [address], field: wrong}})
        fields = ("text", "callback", "seed", "num_images", "cfg_scale", "w", "input_image_base64",
                  "input_image_url", "image_reference_urls", "negative_prompt", "pack_id",
                  "workspace_id", "video_duration", "video_prompt", "theme")  # fmt: skip
        for field in fields:
            ask("POST", f"/tunes/{home}/prompts", json={"prompt": {**prompt, field: wrong}})
    strange = {f"{WORD} key\n": {WORD: WORD}, WORD.upper(): []}
    wrong_tune = {**tune, "image_urls": [address], "characteristics": strange}
    assert ask("POST", "/tunes", json={"tune": wrong_tune}) == 422
    wrong_prompt = {**prompt, "input_image_base64": f"data:image/png;base64,{WORD}"}
    ask("POST", "/tunes/690204/prompts", json={"prompt": wrong_prompt})
    ask("POST", "/p/260/tunes", json={"tune": {"title": WORD, "name": WORD, "brief": WORD}})
    for query in (f"limit={WORD}", f"title={WORD}", f"{WORD}={WORD}", f"name[]={WORD}", "%ff"):
        ask("GET", f"/tunes?{query}")
        ask("GET", f"/prompts?text={WORD}&{query}")
    for body in (f"{{{WORD}", f'"{WORD}"', f"\udcff{WORD}", f'["{WORD}"]', f'{{"tune": "{WORD}"}}'):
        raw = body.encode(errors="surrogateescape")
        for kind in ("application/json", "multipart/form-data; boundary=x", f"text/{WORD}",
                     "multipart/form-data", "application/x-www-form-urlencoded"):  # fmt: skip
            ask("POST", "/tunes", data=raw, headers={"Content-Type": kind})
    for header in ({"Authorization": f"Bearer {WORD}"}, {"Authorization": WORD},
                   {"X-Workspace-Id": WORD}, {"Origin": f"http://{WORD}"}):  # fmt: skip
        ask("GET", "/tunes", headers=header)
        ask("GET", "/_emulator/info", headers=header)
        ask("POST", "/_emulator/finish", headers=header)
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    ask("PATCH", "/_emulator/settings", json={"idempotency": True, "key": KEY}, headers=bearer)
    ask("PATCH", "/_emulator/settings", json={"idempotency": WORD, "key": WORD}, headers=bearer)
    assert ask("POST", "/_emulator/finish", headers=bearer) == 200
    assert ask("GET", "/_emulator/callbacks", headers=bearer) == 200


# -- in this process -------------------------------------------------------------------------------
@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "failing_backend.py").write_text(BACKEND)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("failing_backend", None)


def shown(record: logging.LogRecord) -> str:
    """Everything that a handler may show of a record."""
    trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
    return f"{record.getMessage()} {record.args!r} {trace} {record.stack_info}"


@pytest.mark.parametrize("status", [200, 302])
@pytest.mark.parametrize("fetching", ["never", "always"])
def test_no_record_of_any_logger_holds_a_secret(
    make_app: Any, receiver: Any, caplog: Any, monkeypatch: Any, status: int, fetching: str
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.status = status
    settings = {"keys": (KEY,), "control_token": TOKEN, "assume": (f"fetching={fetching}",)}
    client = make_app(**settings).test_client()

    def ask(method: str, path: str, *, files: Any = (), headers: Any = None, **body: Any) -> int:
        if files:
            parts = {name: (BytesIO(data), at, kind) for name, (at, data, kind) in files}
            body["data"] = {**body["data"], **parts}
        sent = {"Authorization": f"Bearer {KEY}", **(headers or {})}
        return int(client.open(path, method=method, headers=sent, **body).status_code)

    # Pillow tells what a picture says of itself; `serve` keeps it from that.
    caplog.set_level(logging.INFO, logger="PIL")
    live(ask, receiver.url.removeprefix("http://"))
    monkeypatch.setattr(tunes, "make_tune", fails)
    body = {"tune": {"title": WORD, "name": WORD, "image_urls": ["http://127.0.0.1:1/"]}}
    expected = 500 if fetching == "never" else 422
    assert ask("POST", "/tunes", json=body) == expected
    assert len(caplog.records) > 200
    told = caplog.text
    for expected_text in ("refused: ", "blocked: ", "ConnectionRefusedError", "callback tune "):
        assert expected_text in told
    assert ("unexpected error" in told) is (fetching == "never")
    assert [text for record in caplog.records if WORD in (text := shown(record).lower())] == []
    assert [text for text in caplog.messages if "\n" in text and "unexpected" not in text] == []


def fails(services: Any, caller: Any, attributes: Any) -> None:
    try:
        raise KeyError(attributes["title"])
    except KeyError as error:
        raise RuntimeError(str(attributes)) from error


# -- as a process ----------------------------------------------------------------------------------
def test_standard_error_of_a_server_holds_no_secret(places: Path, receiver: Any) -> None:
    settings = {"CONTROL_TOKEN": TOKEN, "KEYS": KEY, "LOG_LEVEL": "debug", "PORT": "0"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    path = os.pathsep.join([str(places), kept.get("PYTHONPATH", "")])
    environment = {**kept, "PYTHONPATH": path} | {PREFIX + k: v for k, v in settings.items()}
    with (places / "log").open("w") as log:
        flags = ["serve", "--backend", "failing_backend:Fails"]
        server = subprocess.Popen(
            [sys.executable, "-m", "astria_emulator", *flags],
            env=environment, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    watchdog = threading.Timer(PATIENCE_SECONDS, server.kill)
    watchdog.start()
    try:
        assert server.stdout
        said = server.stdout.readline()
        url = said.partition("ASTRIA_BASE_URL=")[2].partition(" ")[0]
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {KEY}"

        def ask(method: str, path: str, **rest: Any) -> int:
            return session.request(method, url + path, timeout=PATIENCE_SECONDS, **rest).status_code

        live(ask, receiver.url.removeprefix("http://"))
        image = (f"{WORD}.jpg", b"a", "image/jpeg")
        wrong = {"data": {"name": WORD}, "files": [("file", image)]}
        assert ask("POST", "/images/inspect", **wrong) == 422
        wrong["files"] = [("file", (f"{WORD}.jpg", photograph("JPEG"), "image/jpeg"))]
        assert ask("POST", "/images/inspect", **wrong) == 500
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)
        watchdog.cancel()
        server.stdout.close()  # type: ignore[union-attr]
    told = (places / "log").read_text()
    for expected in (
        "RuntimeError",
        "failing_backend.py",
        "refused: ",
        "It cannot be drawn.",
        "blocked: ",
        "KeyError",
    ):
        assert expected in told
    # The first three characters of a key are shown where the server says that it is ready.
    assert WORD not in said.lower()
    assert [line for line in told.splitlines() if WORD in line.lower()] == []
