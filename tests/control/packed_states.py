"""States packed as archives."""

import json
import zipfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from astria_emulator.control import archive
from astria_emulator.errors import Invalid
from astria_emulator.storage.files import File, HeldFiles
from astria_emulator.storage.state import State
from astria_emulator.storage.store import Job, Row
from tests.spec.compiled import SPEC

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOST = 10**6
KEY, RECIPE_KEY = "k" * 28, "r" * 28
PICTURE = {"width": 64, "height": 64, "text": "", "seed": 1, "index": 0, "subject": "", "tune": ""}


def state(path: Path | None = None) -> State:
    """A delivery with its job, a file of bytes and a recipe."""
    about = {"object": "tune", "object_id": 1, "url": "http://a.test", "state": "recorded"}
    row = Row("delivery", 1, 1, None, {**about, "body": {}, "at": NOW, "id": 1}, ("open:tune:1",))
    files = [
        File(KEY, "image/jpeg", path=path) if path else File(KEY, "image/jpeg", data=b"photograph"),
        File(RECIPE_KEY, "image/jpeg", recipe={"picture": PICTURE}),
    ]
    job = Job(1, "send_callback", "delivery", 1, 1, NOW)
    return State(0, NOW, {"delivery": 2}, [row], [job], HeldFiles(files))


GOOD = b"".join(archive.write(state(), "1.2.3"))
DOCUMENT: Any = json.loads(zipfile.ZipFile(BytesIO(GOOD)).read("state.json"))


def load(data: bytes) -> State:
    return archive.load(BytesIO(data), MOST, SPEC)


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in entries:
            file.writestr(name, data)
    return out.getvalue()


def problems(data: bytes) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as refused:
        load(data)
    return refused.value.messages
