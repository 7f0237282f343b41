"""What may be wrong with a state's JSON, whoever has written it."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import GenericAlias
from typing import Any

from astria_emulator.clock import read_time
from astria_emulator.config import LAST_YEAR
from astria_emulator.control.state_shapes import (
    DOCUMENT,
    EXTRAS,
    JOB,
    OWNED,
    PICTURE,
    RECIPES,
    ROW,
    ROWS,
    TIMES,
    WORDS,
    WORK,
    Types,
)
from astria_emulator.domain.lifecycle import TRANSITIONS
from astria_emulator.domain.picture_sizes import LARGEST
from astria_emulator.errors import Invalid
from astria_emulator.request.uploads import media_type
from astria_emulator.storage.file_keys import KEY
from astria_emulator.storage.store import FIRST_ID

FORMAT = 1  # raised when an earlier version could not read it
LAST_ID = 2**40 - 1
MOST_ATTEMPTS = 2**31 - 1
TOLD = 20  # places that are listed
Problems = Iterator[tuple[str, str]]  # a place and what is wrong there
STATES = {
    table: {state for kind, state, _ in TRANSITIONS if kind == table}
    | {step.to for (kind, *_), step in TRANSITIONS.items() if kind == table}
    for table in ("tune", "prompt")
}
NO_TIME = f"is no time of before the year {LAST_YEAR + 1}, such as 2026-01-01T00:00:00Z"


def check(document: Any, sizes: Mapping[str, int]) -> None:
    """Raises Invalid with what is wrong with a document.

    sizes: the bytes that are there, by key.
    """
    if not isinstance(document, dict):
        raise Invalid({"state.json": ["is not an object"]})
    if not _is_whole(document.get("format"), 1):
        raise Invalid({"format": ["is not a whole number from 1: this is no state of a server"]})
    if document["format"] > FORMAT:
        version = str(document.get("emulator"))[:20]
        told = f"is {document['format']}, of a later version of the emulator, {version}"
        raise Invalid({"format": [f"{told}; this one reads {FORMAT}"]})
    problems: dict[str, list[str]] = {}
    for place, text in _document(document, sizes):
        problems.setdefault(place, []).append(text)
        if len(problems) == TOLD:
            problems["base"] = ["there may be more"]
            break
    if problems:
        raise Invalid(problems)


def _document(document: Mapping[str, Any], sizes: Mapping[str, int]) -> Problems:
    wrong = list(_shape(document, "", DOCUMENT))
    if wrong:
        yield from wrong
        return
    if document["clock"] is not None and _moment(document["clock"]) is None:
        yield "clock", NO_TIME
    for name, id in document["next_ids"].items():
        if name not in ROWS or not _is_whole(id, FIRST_ID.get(name, 1)):
            yield f"next_ids.{name[:40]}", "is no id of a table that is here"
    for table, rows in document["tables"].items():
        if table not in ROWS:
            yield f"tables.{table[:40]}", f"is none of {', '.join(ROWS)}"
        elif not isinstance(rows, list):
            yield f"tables.{table}", "is not an array"
        else:
            seen: set[int] = set()
            for at, row in enumerate(rows):
                yield from _row_problems(table, row, f"tables.{table}[{at}]", seen)
    ids = {table: _ids(rows) for table, rows in document["tables"].items()}
    for at, job in enumerate(document["jobs"]):
        yield from _job_problems(job, f"jobs[{at}]", ids)
    for key, file in document["files"].items():
        yield from _file_problems(key, file, f"files.{key[:40]}", sizes)
    for key in sizes.keys() - document["files"].keys():
        yield f"blobs/{key}", "is none of the files"


def _row_problems(table: str, row: Any, place: str, seen: set[int]) -> Problems:
    wrong = list(_shape(row, place, ROW))
    if wrong:
        yield from wrong
        return
    if not _is_whole(row["id"], FIRST_ID.get(table, 1)):
        yield f"{place}.id", f"is not from {FIRST_ID.get(table, 1)} to {LAST_ID}"
    if row["id"] in seen:
        yield f"{place}.id", "is that of another row"
    seen.add(row["id"])
    if table in OWNED and not _is_whole(row["owner"], 1):
        yield f"{place}.owner", "is no account's id"
    if table not in OWNED and row["owner"] is not None:
        yield f"{place}.owner", "is not null"
    for ref in row["refs"]:
        if not isinstance(ref, str) and not _is_whole(ref, 1):
            yield f"{place}.refs", "is not of strings and ids only"
    for name, time in row["times"].items():
        if _moment(time) is None:
            yield f"{place}.times.{name[:40]}", NO_TIME
    for name in TIMES & row["data"].keys():
        if row["data"][name] is not None:
            yield f"{place}.data.{name}", "belongs under times"
    # For each name a value of the type that its time will be.
    data = row["data"] | dict.fromkeys(row["times"], datetime.min)
    extras = {name: types for name, types in EXTRAS.items() if name in data}
    yield from _shape(data, f"{place}.data", {**ROWS[table], **extras})
    if table in STATES and _is(data.get("state"), str) and data["state"] not in STATES[table]:
        yield f"{place}.data.state", f"is none of {', '.join(sorted(STATES[table]))}"


def _job_problems(job: Any, place: str, ids: Mapping[str, set[int]]) -> Problems:
    wrong = list(_shape(job, place, JOB))
    if wrong:
        yield from wrong
        return
    if WORK.get(job["kind"]) != job["table"]:
        yield f"{place}.kind", f"is no work of a {job['table'][:40]}"
    elif job["target"] not in ids.get(job["table"], ()):
        yield f"{place}.target", f"is no {job['table']} of these"
    if _moment(job["due"]) is None:
        yield f"{place}.due", NO_TIME
    if not 0 <= job["attempt"] <= MOST_ATTEMPTS:
        yield f"{place}.attempt", f"is not from 0 to {MOST_ATTEMPTS}"


def _file_problems(key: str, file: Any, place: str, sizes: Mapping[str, int]) -> Problems:
    if not KEY.fullmatch(key):
        yield place, "is no key of a file"
    wrong = list(_shape(file, place, {"content_type": str}))
    if wrong:
        yield from wrong
        return
    if media_type(file["content_type"]) != file["content_type"]:
        yield f"{place}.content_type", "is no media type"
    recipe = file.get("recipe")
    if recipe is None:
        if key not in sizes or file.get("bytes") != sizes[key]:
            yield f"{place}.bytes", f"is not the size of blobs/{key[:40]}"
    elif key in sizes:
        yield place, "has both a recipe and bytes"
    elif not isinstance(recipe, dict) or not any(
        _is(recipe.get(name), types) for name, types in RECIPES.items()
    ):
        yield f"{place}.recipe", f"is none of {', '.join(RECIPES)}"
    elif _is(recipe.get("picture"), dict):
        picture = recipe["picture"]
        yield from _shape(picture, f"{place}.recipe.picture", PICTURE)
        for name in ("width", "height"):
            if _is(picture.get(name), int) and not 1 <= picture[name] <= LARGEST:
                yield f"{place}.recipe.picture.{name}", f"is not from 1 to {LARGEST}"


def _shape(value: Any, place: str, shape: Mapping[str, Types]) -> Problems:
    """What an object lacks, and what in it is of another type."""
    if not isinstance(value, dict):
        yield place, "is not an object"
        return
    for name, types in shape.items():
        at = f"{place}.{name}" if place else name
        if name not in value:
            yield at, "is missing"
        elif not _is(value[name], types):
            words = [WORDS[one] for one in (types if isinstance(types, tuple) else (types,))]
            yield at, f"is not {' or '.join(words)}"


def _is(value: Any, types: Types) -> bool:
    if isinstance(types, tuple):
        return any(_is(value, one) for one in types)
    if isinstance(types, GenericAlias):
        [of] = types.__args__
        return isinstance(value, list) and all(_is(item, of) for item in value)
    return isinstance(value, types) and (types in (bool, object) or not isinstance(value, bool))


def _is_whole(value: Any, low: int) -> bool:
    return _is(value, int) and low <= value <= LAST_ID


def _moment(text: Any) -> datetime | None:
    try:
        moment = read_time(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return moment if moment.year <= LAST_YEAR else None


def _ids(rows: Any) -> set[int]:
    rows = rows if isinstance(rows, list) else []
    return {row["id"] for row in rows if isinstance(row, dict) and _is(row.get("id"), int)}
