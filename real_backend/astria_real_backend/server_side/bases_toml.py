"""Base models in a TOML file: `[[base]]` tables that add models and replace known ones."""

import os
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from astria_emulator import SetupError
from astria_real_backend.server_side.bases import PRESETS, SIDES, Base

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Key:
    """What a key of a [[base]] table takes."""

    kind: type
    expected: str
    fits: Callable[[Any], object] = bool


KEYS = {
    "tune_id": Key(int, "a whole number from 1", lambda value: value > 0),
    "title": Key(str, "text"),
    "family": Key(str, f"one of {', '.join(sorted(SIDES))}", SIDES.__contains__),
    "source": Key(str, "a hub id such as org/name, a folder or a .safetensors file"),
    "side": Key(int, "pixels, a multiple of 8", lambda value: value > 0 and value % 8 == 0),
    "revision": Key(str, "a branch, tag or commit"),
    "preset": Key(str, "'' or 'toy'", PRESETS.__contains__),
    "config": Key(str, "a folder with the configuration of a .safetensors file"),
    "note": Key(str, "text", lambda _: True),
}
REQUIRED = ("tune_id", "title", "family", "source")


def read_toml(path: Path, bases: Mapping[int, Base]) -> dict[int, Base]:
    """The models of a file's [[base]] tables: new ones, and replacements of known ones.

    A replacement needs only the keys that change. Folders are relative to the file.
    Raises SetupError.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError("models", [f"{path}: cannot be read: {error.strerror}"]) from None
    except ValueError as error:
        raise SetupError("models", [f"{path}: no TOML: {error}"]) from None
    rows = document.get("base", [])
    problems = [f"key {key!r}: expected [[base]]" for key in document if key != "base"]
    if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
        raise SetupError("models", [*problems, f"base {rows!r}: expected [[base]]"])
    ids = [row["tune_id"] if type(row.get("tune_id")) is int else None for row in rows]
    for at, (tune_id, row) in enumerate(zip(ids, rows, strict=True), 1):
        where = f"base {tune_id or f'number {at}'}"
        problems += [f"{where}: {problem}" for problem in problems_of(row, bases.get(tune_id or 0))]
    counts = Counter(tune_id for tune_id in ids if tune_id)
    problems += [f"base {id}: given {count} times" for id, count in counts.items() if count > 1]
    if problems:
        raise SetupError("models", problems)
    folder = path.absolute().parent
    return {row["tune_id"]: base_from_row(row, bases.get(row["tune_id"]), folder) for row in rows}


def problems_of(row: Mapping[str, Any], known: Base | None) -> Iterator[str]:
    """All that is wrong with a table."""
    for name, value in row.items():
        if not (key := KEYS.get(name)):
            yield f"key {name!r}: expected one of {', '.join(KEYS)}"
        elif type(value) is not key.kind or not key.fits(value):  # a bool is no int here
            yield f"{name} {value!r}: expected {key.expected}"
        elif name == "family" and known and value != known.family:
            yield f"family {value!r}: expected {known.family}, whose default it is"
    for name in () if known else REQUIRED:
        if name not in row:
            yield f"{name}: missing"


def base_from_row(row: Mapping[str, Any], known: Base | None, folder: Path) -> Base:
    """A table's model; `folder` is where its relative paths begin."""
    if "config" in row:
        row = {**row, "config": os.path.abspath(folder / os.path.expanduser(row["config"]))}
    if known is None:
        values = {"side": SIDES[row["family"]], **row}
        return Base(**{**values, "source": located(row["source"], folder)})
    if "source" not in row:
        return replace(known, **row)
    # A revision and a note tell of the source that goes.
    values = {"revision": None, "note": "", **row}
    return replace(known, **{**values, "source": located(row["source"], folder)})


def located(source: str, folder: Path) -> str:
    """A hub id as it is, unless a folder of that name is there; else the absolute path."""
    path = folder / os.path.expanduser(source)
    is_hub_id = HUB_ID.fullmatch(source) and path.suffix != ".safetensors" and not path.exists()
    return source if is_hub_id else os.path.abspath(path)
