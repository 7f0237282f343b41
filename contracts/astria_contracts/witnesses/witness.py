"""Witnesses: what Astria's documentation, and clients' records, show as sent and as answered.

The JSON files beside this module hold them as facts, each with its sources and the date of their
state: a page of github.com/astriaai/astria-docs, or a record. What stands in braces is filled in
when one is sent; `{unique}` stands where a page says that an own identifier belongs.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import requests

from astria_contracts.client.api import FLUX, Api
from astria_contracts.client.world import World
from astria_contracts.spec.document import JSON, MULTIPART, URLENCODED, Operation
from astria_contracts.spec.encoding import NOTHING, File, picture

FOLDER = Path(__file__).parent
SLOT = re.compile(r"\{(\w+)\}")
STEP = re.compile(r"[^\[\]]+|\[\]")
# The smallest files that begin as their kind does.
MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isommp42" + b"\0\0\0\x08mdat"
MP3 = b"ID3\x04" + bytes(60)
Fields = list[tuple[str, str | File]]
Slot = Callable[[str], Any]  # what a slot stands for, by its name


@dataclass(frozen=True)
class WitnessedRequest:
    """A request, and the status that it is answered with.

    A form has `fields`, in order. `content_type` is what it says it is, where that is not what it
    is. `answer` is the whole answer, where it is always the same.
    """

    title: str
    sources: tuple[str, ...]
    date: str
    method: str
    path: str
    status: int
    media_type: str = ""
    content_type: str = ""
    body: Any = NOTHING
    fields: tuple[tuple[str, Any], ...] = ()
    keyless: bool = False
    answer: Any = NOTHING
    note: str = ""

    def filled(self, slot: Slot) -> "FilledRequest":
        """The request with something in the place of every slot."""
        path, _, query = str(fill(self.path, slot)).partition("?")
        fields = [(name, _value(fill(value, slot))) for name, value in self.fields]
        body = nested(fields) if fields else fill(self.body, slot)
        return FilledRequest(self, path, dict(parse_qsl(query)), body, fields)


@dataclass(frozen=True)
class WitnessedBody:
    """An answer of an operation with its status, or what the callback of that name sends.

    `body` is NOTHING where it is empty.
    """

    title: str
    sources: tuple[str, ...]
    date: str
    operation: str
    status: int = 0
    callback: str = ""
    media_type: str = JSON
    body: Any = NOTHING
    note: str = ""


Witness = WitnessedRequest | WitnessedBody


@dataclass(frozen=True)
class FilledRequest:
    """A request that can be sent; `body` is what a form says, too."""

    witness: WitnessedRequest
    path: str
    query: Mapping[str, str]
    body: Any
    fields: Fields

    def send(self, api: Api) -> requests.Response:
        """Send it as its source does. Raises ContractViolation."""
        known = self.witness
        kwargs: dict[str, Any] = {"query": self.query} if self.query else {}
        kwargs |= {"key": ""} if known.keyless else {}
        if self.fields:
            kwargs |= _encoded(self.fields, known.media_type)
            kwargs |= {"media_type": known.content_type} if known.content_type else {}
        return api.call(known.method, self.path, self.body, **kwargs)

    def attributes(self, operation: Operation) -> Any:
        """The body under its wrapper, which may have been left out."""
        inner = self.body.get(operation.wrapper) if isinstance(self.body, dict) else None
        if not operation.wrapper or isinstance(inner, dict):
            return self.body
        return {operation.wrapper: self.body}


# -- reading ---------------------------------------------------------------------------------------
def label(witness: Witness) -> str:
    return f"{witness.sources[0]}: {witness.title}"


def read_witnesses() -> list[Witness]:
    """All witnesses, by file."""
    files = sorted(FOLDER.glob("*.json"))
    found = [_witness(item) for file in files for item in json.loads(file.read_text("utf-8"))]
    assert found, f"{FOLDER} has no witness"
    return found


def _witness(item: Mapping[str, Any]) -> Witness:
    given = {**item, "sources": tuple(item["sources"])}
    if "method" in item:
        fields = tuple((name, value) for name, value in item.get("fields", ()))
        return WitnessedRequest(**{**given, "fields": fields})
    return WitnessedBody(**given)


# -- what stands in braces -------------------------------------------------------------------------
def any_slot(name: str) -> Any:
    """Some number for every slot, to validate a request that is not sent."""
    return 1


class Slots:
    """The objects of an account that slots stand for; `new_` ones are made for one request."""

    def __init__(self, api: Api, world: World):
        self._api, self._world = api, world

    def __call__(self, name: str) -> Any:
        makers: Mapping[str, Callable[[], Any]] = {
            "tune": lambda: self._world.tune["id"],
            "prompt": lambda: self._world.prompt["id"],
            "lora": lambda: self._world.lora["id"],
            "faceid": lambda: self._faceid["id"],
            "new_tune": lambda: self._api.tune()["id"],
            "new_prompt": lambda: self._api.prompt(self._world.tune["id"])["id"],
            "unique": lambda: self._api.unique("").strip(),
        }
        return makers[name]()

    @cached_property
    def _faceid(self) -> Any:
        return self._api.tune(branch=None, model_type="faceid", base_tune_id=FLUX)


def fill(value: Any, slot: Slot) -> Any:
    """A value with its slots filled at any depth; a text that is one slot becomes what fills it."""
    if isinstance(value, dict):
        return {key: fill(item, slot) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, slot) for item in value]
    if not isinstance(value, str):
        return value
    if whole := SLOT.fullmatch(value):
        return slot(whole[1])
    return SLOT.sub(lambda found: str(slot(found[1])), value)


# -- forms -----------------------------------------------------------------------------------------
def nested(fields: Fields) -> dict[str, Any]:
    """What the fields of a form say, as Rack reads them."""
    found: dict[str, Any] = {}
    for name, value in fields:
        _place(found, STEP.findall(name), value)
    return {name: _listed(value) for name, value in found.items()}


def _place(found: dict[str, Any], steps: list[str], value: Any) -> None:
    step, rest = steps[0], steps[1:]
    if not rest:
        found[step] = value
    elif rest == ["[]"]:
        found.setdefault(step, []).append(value)
    elif rest[0] == "[]":
        items = found.setdefault(step, [])
        if not items or rest[1] in items[-1]:
            items.append({})
        _place(items[-1], rest[1:], value)
    else:
        _place(found.setdefault(step, {}), rest, value)


def _listed(value: Any) -> Any:
    """The same with objects whose keys are numbers as lists."""
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(item) for name, item in value.items()}
    return list(inner.values()) if all(name.isdigit() for name in inner) else inner


def _value(value: Any) -> str | File:
    if not isinstance(value, dict):
        return str(value)
    name = value["file"]
    if name.endswith(".mp4"):
        return File(name, MP4, "video/mp4")
    if name.endswith(".mp3"):
        return File(name, MP3, "audio/mpeg")
    return File(name, picture().content)


def _encoded(fields: Fields, media_type: str) -> dict[str, Any]:
    """Arguments of a call that sends these fields in this order."""
    assert media_type in (MULTIPART, URLENCODED), media_type
    parts = [
        (name, (value.name, value.content, value.content_type))
        if isinstance(value, File)
        else (name, (None, value))
        for name, value in fields
    ]
    form: dict[str, Any] = {"files": parts} if media_type == MULTIPART else {"data": fields}
    sent = requests.Request("POST", "http://localhost", **form).prepare()
    raw = sent.body if isinstance(sent.body, bytes) else str(sent.body).encode()
    return {"raw": raw, "media_type": sent.headers["Content-Type"]}
