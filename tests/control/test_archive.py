"""Archives of a state: how they are written, and all that is refused before anything changes."""

import ast
import json
import struct
import zipfile
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_emulator.control import archive
from astria_emulator.control.state_checks import EVERY_ROW, ROWS, WORK, fields_of, shapes
from astria_emulator.domain.lifecycle import TRANSITIONS, UNTIMED
from astria_emulator.domain.picture_sizes import LARGEST
from astria_emulator.errors import ApiError, BadRequest, Invalid
from astria_emulator.objects.prompts import NULLS
from astria_emulator.objects.tunes import NULLS as TUNE_NULLS
from astria_emulator.storage.files import File, HeldFiles
from astria_emulator.storage.state import State
from astria_emulator.storage.store import Job, Row
from astria_emulator.work import jobs

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
    return archive.load(BytesIO(data), MOST)


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in entries:
            file.writestr(name, data)
    return out.getvalue()


def changed(*path: Any, to: Any) -> dict[str, Any]:
    """The document with another value at a place."""
    document = json.loads(json.dumps(DOCUMENT))
    at = document
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = to
    return dict(document)


def problems(data: bytes) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as refused:
        load(data)
    return refused.value.messages


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


# -- what the document says ------------------------------------------------------------------------
def packed(document: Any) -> bytes:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return zipped(("state.json", text), (f"blobs/{KEY}", b"photograph"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "cannot be parsed"),
        (b"{", "line 1, column 2"),
        (b"\xff", "not valid UTF-8"),
        (b'{"format": NaN}', "NaN is not JSON"),
        (b"[" * 200 + b"]" * 200, "nests deeper"),
        (b'{"format": "\\u0000"}', "null character"),
        (b'{"format": "\\ud800"}', "not valid UTF-8"),
    ],
)
def test_document_that_cannot_be_read_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(BadRequest, match=r"^state\.json: ") as refused:
        load(packed(text))
    assert reason in refused.value.error


def test_later_format_is_refused_with_what_would_do() -> None:
    assert problems(packed({"format": 2, "emulator": "0.9.0"})) == {
        "format": ["is 2, of a later version of the emulator, 0.9.0; this one reads 1"]
    }


ROW = ("tables", "delivery", 0)
WRONG: list[tuple[Any, str, str]] = [
    ([], "state.json", "is not an object"),
    ({}, "format", "is not a whole number from 1: this is no state of a server"),
    (changed("format", to=0), "format", "is not a whole number"),
    (changed("seed", to="x"), "seed", "must be an integer (got a str)"),
    (changed("seed", to=1.0), "seed", "must be an integer (got a float)"),
    (changed("seed", to=None), "seed", "is null: expected integer"),
    (changed("clock", to="soon"), "clock", "is no time"),
    (changed("clock", to="9500-01-01"), "clock", "is no time of before the year 9001"),
    (changed("next_ids", "cats", to=1), "next_ids.cats", "is no id of a table"),
    (changed("next_ids", "tune", to=1), "next_ids.tune", "is no id of a table"),
    (changed("tables", to=[]), "tables", "is not an object"),
    (changed("tables", "cats", to=[]), "tables.cats", "is none of tune, prompt"),
    (changed("tables", "tune", to={}), "tables.tune", "is not an array"),
    (changed("tables", "tune", to=[1]), "tables.tune[0]", "is not an object"),
    (changed(*ROW, "id", to=0), "tables.delivery[0].id", "is not from 1 to"),
    (changed(*ROW, "id", to=2**63), "tables.delivery[0].id", "is not from 1 to"),
    (changed(*ROW, "id", to=True), "tables.delivery[0].id",
     "must be an integer (got a bool)"),
    (changed(*ROW, "owner", to=1), "tables.delivery[0].owner", "is not null"),
    (changed(*ROW, "refs", to=[2**70]), "tables.delivery[0].refs", "is not of strings and ids"),
    (changed(*ROW, "data", to={}), "tables.delivery[0].data.url", "is missing"),
    (changed(*ROW, "data", "url", to=5), "tables.delivery[0].data.url", "is not a string"),
    (changed(*ROW, "data", "at", to=""), "tables.delivery[0].data.at", "belongs under times"),
    (changed(*ROW, "times", to={}), "tables.delivery[0].data.at", "is missing"),
    (changed(*ROW, "times", "at", to=5), "tables.delivery[0].times.at", "is not a string"),
    (changed(*ROW, "times", "at", to="5"), "tables.delivery[0].times.at", "is no time of before"),
    (changed(*ROW, "times", "url", to="2026-01-01"), "tables.delivery[0].times.url",
     "is no time of a delivery"),
    (changed(*ROW, "data", "ckpt_key", to=5), "tables.delivery[0].data.ckpt_key",
     "is not a string"),
    (changed(*ROW, "refs", to=[True]), "tables.delivery[0].refs[0]",
     "is neither a string nor an id (got a bool)"),
    (changed(*ROW, "refs", to={"a": 1}), "tables.delivery[0].refs", "is not an array"),
    (changed("tables", "delivery", to=[DOCUMENT["tables"]["delivery"][0]] * 2),
     "tables.delivery[1].id", "is that of another row"),
    (changed("jobs", 0, "kind", to="play"), "jobs[0].kind", "is no work of a delivery"),
    (changed("jobs", 0, "kind", to="train_tune"), "jobs[0].kind", "is no work of a delivery"),
    (changed("jobs", 0, "target", to=9), "jobs[0].target", "is no delivery of these"),
    (changed("jobs", 0, "due", to=""), "jobs[0].due", "is no time"),
    (changed("jobs", 0, "attempt", to=-1), "jobs[0].attempt",
     "must be greater than or equal to 0"),
    (changed("jobs", 0, "attempt", to=2**31), "jobs[0].attempt",
     "must be less than or equal to 2147483647"),
    (changed("jobs", 0, "progress", to=None), "jobs[0].progress", "is null: expected object"),
    (changed("jobs", 0, "progress", to=[]), "jobs[0].progress", "is not an object"),
    (changed("files", "short", to={"content_type": "a/b"}), "files.short", "is no key of a file"),
    (changed("files", KEY, "bytes", to=9), f"files.{KEY}.bytes", f"is not the size of blobs/{KEY}"),
    (changed("files", "x" * 28, to={"content_type": "a/b"}), f"files.{'x' * 28}.bytes",
     "is not the size of"),
    (changed("files", KEY, "recipe", to={"clip": ""}), f"files.{KEY}", "has both"),
    (changed("files", KEY, "content_type", to="a\nb"), f"files.{KEY}.content_type",
     "is no media type"),
    (changed("files", RECIPE_KEY, "recipe", to={}), f"files.{RECIPE_KEY}.recipe",
     "is none of picture, address, clip, weights"),
    (changed("files", RECIPE_KEY, "recipe", "picture", "width", to=10**6),
     f"files.{RECIPE_KEY}.recipe.picture.width", "must be less than or equal to 4096"),
    (changed("files", RECIPE_KEY, "recipe", to={"picture": {"width": "1"}}),
     f"files.{RECIPE_KEY}.recipe.picture.height", "is missing"),
    (changed("files", RECIPE_KEY, "recipe", to=[]), f"files.{RECIPE_KEY}.recipe",
     "is not an object"),
    (changed("files", to={}), f"blobs/{KEY}", "is none of the files"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "place", "text"), WRONG)
def test_what_is_wrong_is_told_with_its_place(document: Any, place: str, text: str) -> None:
    assert problems(packed(document))[place][0].startswith(text)


def test_no_more_than_twenty_places_are_told() -> None:
    told = problems(packed(changed("tables", "tune", to=[1] * 100)))
    assert len(told) == 21
    assert told["base"] == ["there may be more"]


def test_row_of_a_tune_needs_a_known_state_and_an_owner_with_an_own_id() -> None:
    row = {"id": 5, "owner": None, "refs": [], "data": {"state": "happy"}, "times": {}}
    told = problems(packed(changed("tables", "tune", to=[row])))
    assert told["tables.tune[0].id"][0].startswith("is not from 5000001 to")
    assert told["tables.tune[0].owner"] == ["is no account's id"]
    assert problems(
        packed(changed("tables", "tune", to=[{**row, "id": 5_000_001, "owner": 1}]))
    ).keys() >= {"tables.tune[0].data.title"}


def test_row_of_a_tune_that_lacks_what_a_time_may_be_null_of_is_refused() -> None:
    row = {"id": 5_000_001, "owner": 1, "refs": [], "data": {"trained_at": None}, "times": {}}
    told = problems(packed(changed("tables", "tune", to=[row])))
    assert "tables.tune[0].data.trained_at" not in told
    assert told["tables.tune[0].data.expires_at"] == ["is missing"]


def test_state_of_a_tune_is_one_of_its_life() -> None:
    row = {"id": 5_000_001, "owner": 1, "refs": [], "data": {"state": "happy"}, "times": {}}
    [told] = problems(packed(changed("tables", "tune", to=[row])))["tables.tune[0].data.state"]
    assert told.startswith("is not included in the list (got 'happy': expected one of queued, ")


# -- what there is to know -------------------------------------------------------------------------
def test_every_kind_of_work_is_known() -> None:
    assert WORK.keys() == jobs.KINDS.keys() | {"send_callback"}


def test_every_table_is_known() -> None:
    root = Path(archive.__file__).parents[1]
    calls = [
        node.args[0].value
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "insert"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]
    assert set(calls) == ROWS.keys()


def test_what_is_written_is_described() -> None:
    assert set(DOCUMENT) == set(fields_of("State"))
    assert set(DOCUMENT["tables"]["delivery"][0]) == set(fields_of("StateRow"))
    assert set(DOCUMENT["jobs"][0]) == set(fields_of("StateJob"))


def test_every_field_of_a_state_and_of_its_rows_has_a_description() -> None:
    described = [*ROWS.values(), EVERY_ROW, "State", "StateRow", "StateJob", "StateFile"]
    described += ["Recipe", "PictureRecipe"]
    blank = {
        f"{component}.{name}"
        for component in described
        for name, field in fields_of(component).items()
        if not field.get("description")
    }
    assert blank == set()


@pytest.mark.parametrize("table", ["tune", "prompt"])
def test_states_are_those_of_the_life_cycle(table: str) -> None:
    before = {state for kind, state, _ in TRANSITIONS if kind == table}
    after = {step.to for (kind, *_), step in TRANSITIONS.items() if kind == table}
    assert set(fields_of(ROWS[table])["state"]["enum"]) == before | after


def test_pictures_are_as_large_as_they_may_be() -> None:
    assert {fields_of("PictureRecipe")[side]["maximum"] for side in ("width", "height")} == {
        LARGEST
    }


@pytest.mark.parametrize(
    ("table", "names"),
    [("tune", (*UNTIMED, *TUNE_NULLS, "is_api")), ("prompt", (*UNTIMED, *NULLS, "is_api"))],
)
def test_what_is_null_where_it_was_not_given_must_be_there(table: str, names: list[str]) -> None:
    spec = shapes().spec
    parts = spec.object_parts(spec.schema(ROWS[table]))
    assert {name for part in parts for name in part.get("required", ())} >= set(names)
