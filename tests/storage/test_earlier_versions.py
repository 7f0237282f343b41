"""What version 0.1.0 wrote is read: a data folder, and an exported state."""

import json
import shutil
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from astria_emulator.clock import SystemClock
from tests.conftest import Api

WRITTEN = Path(__file__).with_name("version_0_1_0")
ANSWERS = json.loads((WRITTEN / "answers.json").read_text())  # of the server that wrote them


AT = "http://127.0.0.1:8498"  # where that server was: the addresses of its files name it


def check(client):
    api = Api(client, key="sd_a")
    for path in ("/tunes", "/prompts"):
        assert api.get(path, base_url=AT) == ANSWERS[path]
    for path, digest in ANSWERS["files"].items():
        with client.get(path) as answer:
            assert sha256(answer.data).hexdigest() == digest


def test_data_folder_is_read(make_app, tmp_path, monkeypatch):
    # Before its tunes expire.
    now = datetime(2026, 12, 2, tzinfo=UTC)
    monkeypatch.setattr(SystemClock, "now", lambda self: now)
    shutil.unpack_archive(WRITTEN / "data.zip", tmp_path)
    check(make_app(clock="", data=str(tmp_path), seed=7).test_client())


def test_exported_state_is_read(make_app):
    client = make_app(clock="2026-12-02T00:00:00Z").test_client()
    state = (WRITTEN / "state.zip").read_bytes()
    answer = client.put("/_emulator/state", data=state, content_type="application/zip", base_url=AT)
    assert answer.status_code == 200, answer.text
    check(client)
