"""What may be wrong with a state's JSON, whoever has written it.

Its shape is the component `State` of the control surface's contract. What is looked at here is
whether the parts fit each other; rows have a module of their own.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from astria_emulator.clock import read_time
from astria_emulator.config import FIRST_YEAR, LAST_YEAR
from astria_emulator.control.row_checks import (
    LAST_ID,
    ROWS,
    Problems,
    RowChecks,
    fields_of,
    shapes,
)
from astria_emulator.domain.lifecycle import WAITS_IN
from astria_emulator.errors import Invalid
from astria_emulator.request.uploads import media_type
from astria_emulator.spec.openapi import Spec
from astria_emulator.storage.file_keys import KEY
from astria_emulator.storage.store import FIRST_ID

FORMAT = 1  # raised when an earlier version could not read it
TOLD = 20  # places that are listed
# A kind of work -> the table of its objects.
WORK: Mapping[str, str] = {
    **dict.fromkeys(("start_tune", "train_tune", "train_on_slot", "expire_tune"), "tune"),
    **dict.fromkeys(("start_prompt", "generate_prompt", "generate_on_slot"), "prompt"),
    **dict.fromkeys(("send_callback", "release_callback"), "delivery"),
    "end_run": "run",
}
NO_TIME = f"is no time of {FIRST_YEAR} to {LAST_YEAR}, such as 2026-01-01T00:00:00Z"


def check(document: Any, sizes: Mapping[str, int], contract: Spec) -> None:
    """Raises Invalid with what is wrong with a document.

    sizes: the bytes that are there, by key. contract: that of the API.
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
    for place, text in _document(document, sizes, contract):
        texts = problems.setdefault(place, [])
        if text not in texts:
            texts.append(text)
        if len(problems) == TOLD:
            problems["base"] = ["there may be more"]
            break
    if problems:
        raise Invalid(problems)


def _document(document: Mapping[str, Any], sizes: Mapping[str, int], contract: Spec) -> Problems:
    if wrong := list(shapes().problems("State", document)):
        yield from wrong
        return
    if document["clock"] is not None and _moment(document["clock"]) is None:
        yield "clock", NO_TIME
    for name, id in document["next_ids"].items():
        if name not in ROWS or not FIRST_ID.get(name, 1) <= id <= LAST_ID:
            yield f"next_ids.{name[:40]}", "is no id of a table that is here"
    tables = document["tables"]
    for table, rows in tables.items():
        for at, row in enumerate(rows):
            for name, text in row["times"].items():
                if _moment(text) is None:
                    yield f"tables.{table[:40]}[{at}].times.{name[:40]}", NO_TIME
    yield from RowChecks(contract, tables, document["files"]).problems()
    states = {
        (table, row["id"]): row["data"].get("state") for table, of in tables.items() for row in of
    }
    for at, job in enumerate(document["jobs"]):
        yield from _job(job, f"jobs[{at}]", states)
    for key, file in document["files"].items():
        yield from _file(key, file, f"files.{key[:40]}", sizes)
    for key in sizes.keys() - document["files"].keys():
        yield f"blobs/{key}", "is none of the files"


def _job(
    job: Mapping[str, Any], place: str, states: Mapping[tuple[str, int], str | None]
) -> Problems:
    object = job["table"], job["target"]
    if WORK.get(job["kind"]) != job["table"]:
        yield f"{place}.kind", f"is no work of a {job['table'][:40]}"
    elif object not in states:
        yield f"{place}.target", f"is no {job['table']} of these"
    elif (state := WAITS_IN.get(job["kind"])) and states[object] != state:
        yield f"{place}.target", f"is not {state}, as a {job['table']} is until {job['kind']}"
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
    return moment if FIRST_YEAR <= moment.year <= LAST_YEAR else None
