"""What is wrong within a state's document is told with its place."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from astria_emulator.control import archive, state_checks
from astria_emulator.control.row_checks import EVERY_ROW, ROWS, fields_of, shapes
from astria_emulator.control.state_checks import WORK
from astria_emulator.control.state_document import MOST_ATTEMPTS
from astria_emulator.domain.lifecycle import TRANSITIONS, UNTIMED
from astria_emulator.domain.picture_sizes import LARGEST
from astria_emulator.errors import BadRequest
from astria_emulator.objects.prompts import NULLS
from astria_emulator.objects.tunes import NULLS as TUNE_NULLS
from astria_emulator.work import jobs
from tests.control.packed_states import (
    DOCUMENT,
    KEY,
    RECIPE_KEY,
    load,
    problems,
    zipped,
)


def changed(*path: Any, to: Any) -> dict[str, Any]:
    """The document with another value at a place."""
    document = json.loads(json.dumps(DOCUMENT))
    at = document
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = to
    return dict(document)


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
    (changed("clock", to="9500-01-01"), "clock", "is no time of 1970 to 9000"),
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
    (changed(*ROW, "data", "url", to=5), "tables.delivery[0].data.url",
     "is not a valid URL (got a int)"),
    (changed(*ROW, "data", "at", to=""), "tables.delivery[0].data.at", "belongs under times"),
    (changed(*ROW, "times", to={}), "tables.delivery[0].data.at", "is missing"),
    (changed(*ROW, "times", "at", to=5), "tables.delivery[0].times.at", "is not a string"),
    (changed(*ROW, "times", "at", to="5"), "tables.delivery[0].times.at", "is no time of 1970"),
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


def test_row_of_a_tune_that_lacks_what_a_time_may_be_null_of_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(state_checks, "TOLD", 100)
    row = {"id": 5_000_001, "owner": 1, "refs": [], "data": {"trained_at": None}, "times": {}}
    told = problems(packed(changed("tables", "tune", to=[row])))
    assert "tables.tune[0].data.trained_at" not in told
    assert told["tables.tune[0].data.expires_at"] == ["is missing"]


def test_state_of_a_tune_is_one_of_its_life() -> None:
    row = {"id": 5_000_001, "owner": 1, "refs": [], "data": {"state": "happy"}, "times": {}}
    [told] = problems(packed(changed("tables", "tune", to=[row])))["tables.tune[0].data.state"]
    assert told.startswith("is not included in the list (got 'happy': expected one of queued, ")


def test_count_of_attempts_has_room_to_grow() -> None:
    [job] = load(packed(changed("jobs", 0, "attempt", to=2**31 - 1))).jobs
    assert job.attempt == MOST_ATTEMPTS


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
