"""What may be wrong with a state's JSON, whoever has written it.

Its shape is the component `State` of the control surface's contract, and that of a table's rows one
of its own. What is looked at here is whether the parts fit each other.
"""

from collections.abc import Container, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from astria_emulator.clock import read_time
from astria_emulator.config import LAST_YEAR
from astria_emulator.errors import Invalid
from astria_emulator.request.uploads import media_type
from astria_emulator.spec.exact import Shapes
from astria_emulator.spec.loading import control_contract
from astria_emulator.spec.openapi import Node
from astria_emulator.storage.file_keys import KEY
from astria_emulator.storage.store import FIRST_ID

FORMAT = 1  # raised when an earlier version could not read it
LAST_ID = 2**40 - 1
TOLD = 20  # places that are listed
Problems = Iterator[tuple[str, str]]  # a place and what is wrong there
# A table -> the component of its rows' fields.
ROWS: Mapping[str, str] = {
    "tune": "TuneRow",
    "prompt": "PromptRow",
    "pack": "PackRow",
    "workspace": "WorkspaceRow",
    "order": "OrderRow",
    "run": "RunRow",
    "user": "UserRow",
    "delivery": "DeliveryRow",
    "setting": "SettingRow",
}
OWNED = frozenset({"tune", "prompt", "pack", "workspace", "order", "run"})  # by an account
EVERY_ROW = "FileKeys"  # the component of what is looked at in every table
# A kind of work -> the table of its objects.
WORK: Mapping[str, str] = {
    **dict.fromkeys(("start_tune", "train_tune", "train_on_slot", "expire_tune"), "tune"),
    **dict.fromkeys(("start_prompt", "generate_prompt", "generate_on_slot"), "prompt"),
    **dict.fromkeys(("send_callback", "release_callback"), "delivery"),
    "end_run": "run",
}
ANYTHING = "#/components/schemas/Anything"
NO_TIME = f"is no time of before the year {LAST_YEAR + 1}, such as 2026-01-01T00:00:00Z"


@lru_cache
def shapes() -> Shapes:
    return Shapes(control_contract().spec)


@lru_cache
def fields_of(component: str) -> Mapping[str, Node]:
    """The fields of a table's rows, by name, as the contract has them."""
    spec = shapes().spec
    parts = spec.object_parts(spec.schema(component))
    return {name: field for part in parts for name, field in part["properties"].items()}


@lru_cache
def times() -> frozenset[str]:
    """What is a time, wherever it is not null."""
    fields = [field for component in ROWS.values() for field in fields_of(component).items()]
    return frozenset(name for name, field in fields if field.get("format") == "date-time")


@lru_cache
def never_times(table: str) -> frozenset[str]:
    """What the contract gives another type in a table."""
    fields = {**fields_of(EVERY_ROW), **fields_of(ROWS[table])}
    typed = (name for name, field in fields.items() if field.get("$ref") != ANYTHING)
    return frozenset(typed) - times()


def check(document: Any, sizes: Mapping[str, int]) -> None:
    """Raises Invalid with what is wrong with a document.

    sizes: the bytes that are there, by key.
    """
    if not isinstance(document, dict):
        raise Invalid({"state.json": ["is not an object"]})
    version = document.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= LAST_ID:
        raise Invalid({"format": ["is not a whole number from 1: this is no state of a server"]})
    if version > FORMAT:
        emulator = str(document.get("emulator"))[:20]
        told = f"is {version}, of a later version of the emulator, {emulator}"
        raise Invalid({"format": [f"{told}; this one reads {FORMAT}"]})
    problems: dict[str, list[str]] = {}
    for place, text in _document(document, sizes):
        texts = problems.setdefault(place, [])
        if text not in texts:
            texts.append(text)
        if len(problems) == TOLD:
            problems["base"] = ["there may be more"]
            break
    if problems:
        raise Invalid(problems)


def _document(document: Mapping[str, Any], sizes: Mapping[str, int]) -> Problems:
    if wrong := list(shapes().problems("State", document)):
        yield from wrong
        return
    if document["clock"] is not None and _moment(document["clock"]) is None:
        yield "clock", NO_TIME
    for name, id in document["next_ids"].items():
        if name not in ROWS or not FIRST_ID.get(name, 1) <= id <= LAST_ID:
            yield f"next_ids.{name[:40]}", "is no id of a table that is here"
    for table, rows in document["tables"].items():
        if table not in ROWS:
            yield f"tables.{table[:40]}", f"is none of {', '.join(ROWS)}"
        else:
            seen: set[int] = set()
            for at, row in enumerate(rows):
                yield from _row(table, row, f"tables.{table}[{at}]", seen)
    ids = {table: {row["id"] for row in rows} for table, rows in document["tables"].items()}
    for at, job in enumerate(document["jobs"]):
        yield from _job(job, f"jobs[{at}]", ids)
    for key, file in document["files"].items():
        yield from _file(key, file, f"files.{key[:40]}", sizes)
    for key in sizes.keys() - document["files"].keys():
        yield f"blobs/{key}", "is none of the files"


def _row(table: str, row: Mapping[str, Any], place: str, seen: set[int]) -> Problems:
    first = FIRST_ID.get(table, 1)
    if not first <= row["id"] <= LAST_ID:
        yield f"{place}.id", f"is not from {first} to {LAST_ID}"
    if row["id"] in seen:
        yield f"{place}.id", "is that of another row"
    seen.add(row["id"])
    owner = row["owner"]
    if table in OWNED and not (owner is not None and 1 <= owner <= LAST_ID):
        yield f"{place}.owner", "is no account's id"
    if table not in OWNED and owner is not None:
        yield f"{place}.owner", "is not null"
    for ref in row["refs"]:
        if isinstance(ref, int) and not 1 <= ref <= LAST_ID:
            yield f"{place}.refs", "is not of strings and ids only"
    for name, text in row["times"].items():
        if _moment(text) is None:
            yield f"{place}.times.{name[:40]}", NO_TIME
        if name in never_times(table):
            yield f"{place}.times.{name}", f"is no time of a {table}"
    for name in times() & row["data"].keys():
        if row["data"][name] is not None:
            yield f"{place}.data.{name}", "belongs under times"
    fields = row["data"] | row["times"]
    for component in (ROWS[table], EVERY_ROW):
        yield from shapes().problems(component, fields, f"{place}.data")


def _job(job: Mapping[str, Any], place: str, ids: Mapping[str, Container[int]]) -> Problems:
    if WORK.get(job["kind"]) != job["table"]:
        yield f"{place}.kind", f"is no work of a {job['table'][:40]}"
    elif job["target"] not in ids.get(job["table"], ()):
        yield f"{place}.target", f"is no {job['table']} of these"
    if _moment(job["due"]) is None:
        yield f"{place}.due", NO_TIME


def _file(key: str, file: Mapping[str, Any], place: str, sizes: Mapping[str, int]) -> Problems:
    if not KEY.fullmatch(key):
        yield place, "is no key of a file"
    if media_type(file["content_type"]) != file["content_type"]:
        yield f"{place}.content_type", "is no media type"
    recipe = file.get("recipe")
    if recipe is None:
        if key not in sizes or file.get("bytes") != sizes[key]:
            yield f"{place}.bytes", f"is not the size of blobs/{key[:40]}"
        return
    if key in sizes:
        yield place, "has both a recipe and bytes"
    kinds = fields_of("Recipe")
    if all(recipe.get(kind) is None for kind in kinds):
        yield f"{place}.recipe", f"is none of {', '.join(kinds)}"


def _moment(text: str) -> datetime | None:
    try:
        moment = read_time(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year <= LAST_YEAR else None
