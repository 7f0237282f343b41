"""A valid request for each operation, to send as it is or with one value changed."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import requests

from astria_contracts.client.api import FLUX, Api
from astria_contracts.client.world import World
from astria_contracts.spec.document import JSON, Operation
from astria_contracts.spec.encoding import NOTHING
from astria_contracts.spec.sides import ANY_KEY, ITEM, Place

TEXT = {"text": "ohwx woman in a garden"}
URLS = ["https://example.com/1.jpg"]


@dataclass(frozen=True)
class Request:
    """Parameters, by where they are sent, and a body."""

    operation: Operation
    path: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = NOTHING
    media_type: str = JSON

    def is_too_costly(self, api: Api) -> bool:
        path = {name: str(value) for name, value in self.path.items()}
        return api.is_too_costly(self.operation, path, {} if self.body is NOTHING else self.body)

    def send(self, api: Api, **more: Any) -> requests.Response:
        path = self.operation.path
        for name, value in self.path.items():
            path = path.replace(f"{{{name}}}", str(value))
        given = {"query": self.query, "headers": self.headers, "media_type": self.media_type}
        return api.call(self.operation.method, path, self.body, **{**given, **more})

    def has(self, place: Place) -> bool:
        """Whether something is sent at a place."""
        where, *steps = place
        sent: Any = getattr(self, {"header": "headers"}.get(where, where))
        for step in steps:
            if not isinstance(sent, Mapping) or step not in sent:
                return False
            sent = sent[step]
        return True

    def changed(self, place: Place, value: Any) -> "Request":
        """The same with another value at a place; NOTHING takes it away."""
        where, *steps = place
        name = {"header": "headers"}.get(where, where)
        sent = {} if getattr(self, name) is NOTHING else copy.deepcopy(getattr(self, name))
        return replace(self, **{name: _placed(sent, steps, value)})


def _placed(sent: Any, steps: list[str], value: Any) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if step == ITEM:
        first, *others = sent if isinstance(sent, list) and sent else [{} if rest else None]
        return [_placed(first, rest, value), *others]
    key = "key" if step == ANY_KEY else step
    sent = dict(sent) if isinstance(sent, Mapping) else {}
    if not rest and value is NOTHING:
        sent.pop(key, None)
    else:
        sent[key] = _placed(sent.get(key), rest, value)
    return sent


def tune_body(world: World) -> Any:
    return {"tune": world.api.tune_attributes()}


def run_body(world: World) -> Any:
    templates = world.pack["prompts_per_class"]["woman"]
    urls = [world.api.target.options.picture_url]
    run = {"title": world.api.unique("Run"), "name": "woman", "image_urls": urls}
    return {"tune": {**run, "prompt_ids": [templates[0]["id"]]}}


BODIES: Mapping[str, Callable[[World], Any]] = {
    "create_tune": tune_body,
    "update_tune": lambda world: {"tune": {"title": "Another title"}},
    "create_tune_prompt": lambda world: {"prompt": TEXT},
    "create_prompt": lambda world: {"prompt": {**TEXT, "tune_id": world.tune["id"]}},
    "update_prompt": lambda world: {"prompt": {"base_pack_id": world.pack["id"]}},
    "update_tune_prompt": lambda world: {"prompt": {"base_pack_id": world.pack["id"]}},
    "duplicate_prompt": lambda world: {"prompt": {"seed": 12345}},
    "create_pack": lambda world: {"pack": {"title": "A pack", "base_tune_id": FLUX}},
    "run_pack": run_body,
    "inspect_image": lambda world: {"name": "woman", "file_url": URLS[0]},
    "create_theme": lambda world: {"theme": {"theme": "Sea", "tune_ids": [world.tune["id"]]}},
    "create_workspace": lambda world: {"workspace": {"title": "A workspace"}},
    "update_workspace": lambda world: {"workspace": {"title": "Another title"}},
}
NEEDS_PAID = {*("run_pack", "inspect_image", "create_theme", "create_pack", "create_workspace")}
NEEDS_PAID |= {"update_workspace", "get_workspace"}


def request_of(operation: Operation, world: World, media_type: str = JSON) -> Request:
    """A valid request. One that deletes has an object of its own to delete."""
    make = BODIES.get(operation.id)
    body = make(world) if make else NOTHING
    return Request(operation, path=_path(operation, world), body=body, media_type=media_type)


def _path(operation: Operation, world: World) -> dict[str, Any]:
    wanted = {name["name"] for name in operation.parameters if name["in"] == "path"}
    if not wanted:
        return {}
    if "id_or_slug" in wanted:
        return {"id_or_slug": world.pack["slug"]}
    if operation.id.endswith("_workspace"):
        return {"id": world.workspace["id"]}
    if operation.id == "get_tune":
        return {"id": world.tune["id"]}
    if operation.id == "update_tune":
        return {"id": world.changing["tune_id"]}
    if operation.id == "delete_tune":
        return {"id": world.api.tune(title="To be deleted")["id"]}
    if "id" not in wanted:
        return {"tune_id": world.tune["id"]}
    changes = operation.method == "PATCH" or "like" in operation.id
    prompt = world.changing if changes else world.prompt
    if operation.method == "DELETE":
        prompt = world.api.prompt(world.tune["id"])
    return {name: prompt[name] for name in wanted}
