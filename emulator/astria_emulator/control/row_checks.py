"""What may be wrong with a state's rows: they follow the rules of what requests create.

Fields that a request gives are checked by the contract's own component for that request. What else
a row has is described by a component of the control surface's contract. Then come rules that no
schema can tell: what rows name is there, and a state has its times.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from astria_emulator.domain.gallery import load_gallery
from astria_emulator.domain.lifecycle import TIMES
from astria_emulator.domain.prompt_rules import broken_rules
from astria_emulator.spec.exact import Shapes
from astria_emulator.spec.loading import control_contract
from astria_emulator.spec.openapi import Node, Spec
from astria_emulator.storage.refs import slug_ref, template_ref, title_ref
from astria_emulator.storage.store import FIRST_ID

LAST_ID = 2**40 - 1
Problems = Iterator[tuple[str, str]]  # a place and what is wrong there
Fields = Mapping[str, Any]
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
# A table -> the component of the API's contract with what a request gives.
REQUESTS: Mapping[str, str] = {
    "tune": "TuneFields",
    "prompt": "NestedPrompt",
    "pack": "CreatePackBody/properties/pack",
    "workspace": "CreateWorkspaceBody/properties/workspace",
}
# What a row may have otherwise than its request: filled in, read from a text, or of its base.
OTHERWISE: Mapping[str, frozenset[str]] = {
    "tune": frozenset({"branch"}),
    "prompt": frozenset({"text", "video_model", "video_prompt", "video_duration"}),
}
OWNED = frozenset({"tune", "prompt", "pack", "workspace", "order", "run"})  # by an account
EVERY_ROW = "FileKeys"  # the component of what is looked at in every table

GALLERY, OWN = "gallery", "own"
# A table -> a field, the table of what it names, and whose that may be. It must be there.
NAMED: Mapping[str, Sequence[tuple[str, str, frozenset[str]]]] = {
    "tune": (
        ("workspace_id", "workspace", frozenset({OWN})),
        ("root_base_id", "tune", frozenset({GALLERY})),
    ),
    "prompt": (
        ("workspace_id", "workspace", frozenset({OWN})),
        ("tune_id", "tune", frozenset({OWN, GALLERY})),
        ("home_tune_id", "tune", frozenset({OWN, GALLERY})),
        ("pack_id", "pack", frozenset({OWN})),
        ("base_pack_id", "pack", frozenset({OWN, GALLERY})),
        ("order_id", "order", frozenset({OWN})),
    ),
    "pack": (("workspace_id", "workspace", frozenset({OWN})),),
}
# The same of what may have been deleted since.
ONCE_NAMED: Mapping[str, Sequence[tuple[str, str]]] = {
    "tune": (("base_tune_id", "tune"), ("home_base_id", "tune")),
    "prompt": (("orig_prompt_id", "prompt"), ("like_counted_for", "prompt")),
    "pack": (("base_tune_id", "tune"),),
}
KEY_REF = re.compile("key:[0-9a-f]{64}")  # a user's only ref
# A table -> the refs that its rows cannot be found without.
REFS: Mapping[str, Callable[[Fields], Sequence[int | str]]] = {
    "tune": lambda f: [title_ref(f["title"])],
    "prompt": lambda f: [
        *(f["tune_id"], f["home_tune_id"], *(tune["id"] for tune in f["tunes"])),
        *([template_ref(f["pack_id"])] if f["pack_id"] else []),
    ],
    "pack": lambda f: [slug_ref(f["slug"])],
    "run": lambda f: f["prompt_ids"],
}


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
def times_of(table: str) -> frozenset[str]:
    """What is a time in a table's rows, wherever it is not null."""
    fields = fields_of(ROWS[table])
    return frozenset(name for name, field in fields.items() if field.get("format") == "date-time")


@lru_cache
def gallery() -> Mapping[str, frozenset[int]]:
    """The ids of the gallery's objects, by table."""
    found = load_gallery()
    templates = (template for pack in found.packs for template in pack["templates"])
    rows = {"tune": found.tunes, "pack": found.packs, "prompt": templates}
    return {table: frozenset(row["id"] for row in of) for table, of in rows.items()}


class RowChecks:
    """Checks the rows of a document whose shape is right.

    contract: that of the API. tables: the document's rows. files: its files, by key.
    """

    def __init__(self, contract: Spec, tables: Mapping[str, Sequence[Any]], files: Fields):
        self._requests, self._tables, self._files = Shapes(contract), tables, files
        self._owners = {
            (table, row["id"]): row["owner"] for table, rows in tables.items() for row in rows
        }

    def problems(self) -> Problems:
        """What is wrong with any row."""
        for table, rows in self._tables.items():
            if table not in ROWS:
                yield f"tables.{table[:40]}", f"is none of {', '.join(ROWS)}"
                continue
            known = self._known(table)
            seen: set[int] = set()
            for at, row in enumerate(rows):
                yield from self._row(table, row, f"tables.{table}[{at}]", seen, known)

    def _known(self, table: str) -> frozenset[str]:
        """The names of the fields that a table's rows may have."""
        names = fields_of(EVERY_ROW).keys() | fields_of(ROWS[table]).keys()
        spec = self._requests.spec
        if component := REQUESTS.get(table):
            for part in spec.object_parts({"$ref": f"#/components/schemas/{component}"}):
                names |= part["properties"].keys()
        return frozenset(names)

    def _row(
        self, table: str, row: Fields, place: str, seen: set[int], known: frozenset[str]
    ) -> Problems:
        first = FIRST_ID.get(table, 1)
        if not first <= row["id"] <= LAST_ID:
            yield f"{place}.id", f"is not from {first} to {LAST_ID}"
        if row["id"] in seen:
            yield f"{place}.id", "is that of another row"
        seen.add(row["id"])
        owner = row["owner"]
        if table not in OWNED and owner is not None:
            yield f"{place}.owner", "is not null"
        elif table in OWNED and (owner is None or ("user", owner) not in self._owners):
            yield f"{place}.owner", "is no account's id"
        for ref in row["refs"]:
            if isinstance(ref, int) and not 1 <= ref <= LAST_ID:
                yield f"{place}.refs", "is not of strings and ids only"
        for name in row["times"].keys() - times_of(table):
            yield f"{place}.times.{name[:40]}", f"is no time of a {table}"
        for name in times_of(table) & row["data"].keys():
            if row["data"][name] is not None:
                yield f"{place}.data.{name}", "belongs under times"
        unknown = row["data"].keys() - known
        for name in unknown:
            yield f"{place}.data.{name[:40]}", f"is no field of a {table}"
        fields = row["data"] | row["times"]
        wrong = list(self._wrong_shapes(table, fields, f"{place}.data"))
        yield from wrong
        if not wrong and not unknown:  # all fields are there, and of their types
            yield from self._named(table, fields, owner, f"{place}.data")
            yield from self._files_of(fields, f"{place}.data")
            yield from _of_state(table, fields, f"{place}.data")
            if table == "tune":
                yield from _earlier(row["id"], fields, f"{place}.data")
            yield from _refs(table, row, fields, f"{place}.refs")

    def _wrong_shapes(self, table: str, fields: Fields, place: str) -> Problems:
        for component in (ROWS[table], EVERY_ROW):
            yield from shapes().problems(component, fields, place)
        if table in REQUESTS:
            otherwise = dict.fromkeys(OTHERWISE.get(table, ()))
            given = {name: value for name, value in fields.items() if name not in otherwise}
            # A prompt needs a text, or what to animate; what is filled in may be blank.
            given |= {"text": "x"} if table == "prompt" else {}
            yield from self._requests.problems(REQUESTS[table], given, place)

    def _named(self, table: str, fields: Fields, owner: int, place: str) -> Problems:
        for name, of, whose in NAMED.get(table, ()):
            if (id := fields.get(name)) is not None:
                is_own = OWN in whose and self._owners.get((of, id)) == owner
                if not is_own and not (GALLERY in whose and id in gallery()[of]):
                    yield f"{place}.{name}", f"is no {of} that it may name"
        for name, of in ONCE_NAMED.get(table, ()):
            if self._owners.get((of, fields.get(name)), owner) != owner:
                yield f"{place}.{name}", f"is another account's {of}"

    def _files_of(self, fields: Fields, place: str) -> Problems:
        for name, keys in _file_keys(fields):
            if any(key not in self._files for key in keys):
                yield f"{place}.{name}", "is no key of these files"
        for kind in ("image", "caption"):
            names = fields.get(f"{kind}_names")
            if names and len(names) != len(fields.get(f"{kind}_keys") or ()):
                yield f"{place}.{kind}_names", f"has not one name for each of {kind}_keys"


def _file_keys(fields: Fields) -> Iterator[tuple[str, Sequence[str]]]:
    for name in ("image_keys", "caption_keys", "more_ckpt_keys"):
        yield name, fields.get(name) or ()
    yield "ckpt_key", [key] if (key := fields.get("ckpt_key")) is not None else []
    for name, keys in fields.get("files", {}).items():
        yield f"files.{name}", [keys] if isinstance(keys, str) else keys


def _of_state(table: str, fields: Fields, place: str) -> Problems:
    """What does not go with a row's state, branch or model."""
    for name, is_set in TIMES.get((table, fields.get("state", "")), {}).items():
        if (fields[name] is not None) is not is_set:
            told = "is null" if is_set else "is not null"
            yield f"{place}.{name}", f"{told}, and the {table} is {fields['state']}"
    if table == "prompt":
        video = fields.get("video_model")
        model = load_gallery().video_model(video) if video else None
        prompt = {**fields, **fields["files"], "text": "x"}
        for field, texts in broken_rules(prompt, fields["branch"], model).items():
            yield f"{place}.{field}", texts[0]


def _earlier(id: int, fields: Fields, place: str) -> Problems:
    """What a tune is made on must be older than the tune, or two could wait for each other."""
    for name in ("base_tune_id", "home_base_id"):
        if (fields[name] or 0) >= id:
            yield f"{place}.{name}", "is not earlier than the tune"


def _refs(table: str, row: Fields, fields: Fields, place: str) -> Problems:
    if table == "user" and not (len(row["refs"]) == 1 and KEY_REF.fullmatch(str(row["refs"][0]))):
        yield place, "is not the hash of one key"
    if table in REFS and not set(REFS[table](fields)) <= set(row["refs"]):
        yield place, f"is not what a {table} is found by"
    elif table == "prompt":  # its work uses all tunes that are here, whoever's they are
        same = {ref for ref in row["refs"] if str(ref).startswith("same:")}
        if set(row["refs"]) - same - set(REFS[table](fields)):
            yield place, "is more than a prompt is found by"
    if table == "setting" and row["id"] != 1:
        yield place, "is of a second setting"
