"""Archives of a state: how they are written, and all that is refused before anything changes."""

import json
import struct
import zipfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_emulator.control import archive
from astria_emulator.errors import ApiError, BadRequest, Invalid
from tests.control.packed_states import (
    DOCUMENT,
    GOOD,
    KEY,
    MOST,
    PICTURE,
    load,
    problems,
    state,
    zipped,
)


# -- what is written -------------------------------------------------------------------------------
def test_archive_is_a_zip_that_people_can_read() -> None:
    with zipfile.ZipFile(BytesIO(GOOD)) as file:
        assert file.testzip() is None
        assert file.namelist() == ["state.json", f"blobs/{KEY}"]
        assert file.read(f"blobs/{KEY}") == b"photograph"
        text = file.read("state.json").decode()
    assert '\n  "format": 1,\n  "emulator": "1.2.3",\n  "seed": 0,\n' in text
    assert '"clock": "2026-01-01T00:00:00Z"' in text
    assert '\n        "times": {\n          "at": "2026-01-01T00:00:00Z"\n' in text


def test_bytes_on_a_disk_are_written_as_those_in_memory_are(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"photograph")
    assert b"".join(archive.write(state(path), "1.2.3")) == GOOD


def test_archive_is_written_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(3_000_000))
    pieces = list(archive.write(state(path), "1.2.3"))
    assert max(map(len, pieces)) < 600_000
    with zipfile.ZipFile(BytesIO(b"".join(pieces))) as file:
        assert file.read(f"blobs/{KEY}") == bytes(3_000_000)


def test_archive_that_was_unpacked_and_packed_again_is_read() -> None:
    entries = [("blobs/", b""), ("state.json", json.dumps(DOCUMENT).encode())]
    read = load(zipped(*entries, (f"blobs/{KEY}", b"photograph")))
    assert [file.content for file in read.files.files] == [b"photograph", {"picture": PICTURE}]


def test_calls_are_read_with_what_version_0_1_0_did_not_write() -> None:
    """That is: the receivers of those that wait, and the ref of those that have ended."""
    row = DOCUMENT["tables"]["delivery"][0]
    tables = {"delivery": [row, {**row, "id": 2, "refs": []}]}
    document = json.dumps({**DOCUMENT, "tables": tables}).encode()
    read = load(zipped(("state.json", document), (f"blobs/{KEY}", b"photograph")))
    assert [job.receiver for job in read.jobs] == ["a.test:80"]
    assert [row.refs for row in read.rows] == [("open:tune:1",), ("ended",)]


# -- what is no such archive -----------------------------------------------------------------------
@pytest.mark.parametrize(
    "data", [b"", b"x", b"PK\x05\x06" + bytes(18), GOOD[:-30], GOOD[:100], bytes(5000)]
)
def test_what_is_no_zip_is_refused(data: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        load(data)
    assert refused.value.status in (400, 422)


def test_bytes_that_were_changed_are_noticed() -> None:
    at = GOOD.index(b"photograph")
    with pytest.raises(BadRequest, match="no zip archive that can be read: Bad CRC"):
        load(GOOD[:at] + b"F" + GOOD[at + 1 :])


@pytest.mark.parametrize(
    "name",
    ["../state.json", "/etc/passwd", "blobs/../x", f"blobs/{KEY}/x", f"blobs/{KEY.upper()}",
     f"blobs\\{KEY}", "blobs/short", "notes.txt", "State.json"],
)  # fmt: skip
def test_other_entries_are_refused_by_name(name: str) -> None:
    told = problems(zipped(("state.json", b"{}"), (name, b"x")))
    assert list(told) == [name]
    assert told[name][0].startswith("is neither state.json nor")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entry_that_is_there_twice_is_refused() -> None:
    assert problems(zipped(("state.json", b"{}"), ("state.json", b"{}"))) == {
        "state.json": ["is there twice"]
    }


def test_archive_without_a_document_is_refused() -> None:
    assert problems(zipped((f"blobs/{KEY}", b"x"))) == {"state.json": ["is missing"]}


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_only_the_usual_ways_to_press_are_read(method: int) -> None:
    told = problems(zipped(("state.json", b"{}"), method=method))
    assert "pressed in a way" in told["state.json"][0]


def test_entry_that_is_encrypted_is_refused() -> None:
    at = GOOD.rindex(b"PK\x01\x02") + 8
    assert "encrypted" in problems(GOOD[:at] + b"\x01" + GOOD[at + 1 :])[f"blobs/{KEY}"][0]


def test_archive_that_holds_too_much_is_refused() -> None:
    document = ("state.json", json.dumps(DOCUMENT).encode())
    blobs = [(f"blobs/{at:028d}", bytes(MOST)) for at in range(11)]
    data = zipped(document, *blobs)
    assert len(data) < MOST
    [told] = problems(data)["base"]
    assert "--max-body-mb" in told
    long = zipped(("state.json", b" " * (MOST + 1)))
    assert "--max-body-mb" in problems(long)["state.json"][0]


def test_archive_that_lists_too_many_entries_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_ENTRIES", 2)
    assert load(GOOD)
    for chunk in (5, 100, 1000):
        monkeypatch.setattr(archive, "CHUNK", chunk)
        entries = [("state.json", b"{}"), ("blobs/", b""), ("x", b"")]
        assert problems(zipped(*entries)) == {"base": ["more than 2 entries are in it"]}


def test_entry_that_says_that_it_is_short_is_not_believed() -> None:
    data = zipped(("state.json", b" " * 5_000_000))
    short = data.replace(struct.pack("<L", 5_000_000), struct.pack("<L", 10))
    assert short != data
    with pytest.raises(BadRequest):
        load(short)


@given(st.data())
@settings(derandomize=True, deadline=None, max_examples=300)
def test_broken_archive_is_read_or_refused(data: st.DataObject) -> None:
    broken = bytearray(GOOD)
    heads = [at for at in range(len(GOOD)) if GOOD[at : at + 2] == b"PK"]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.sampled_from(heads)) + data.draw(st.integers(0, 50))
        broken[min(at, len(GOOD) - 1)] = data.draw(st.integers(0, 255))
    with suppress(BadRequest, Invalid):
        load(bytes(broken))
