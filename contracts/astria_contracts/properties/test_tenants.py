"""No method of HTTP lets an account see or change objects of another account."""

from typing import Any

import pytest

from astria_contracts.client.api import FLUX, Api
from astria_contracts.client.sample_requests import NEEDS_PAID, request_of
from astria_contracts.client.world import World
from astria_contracts.spec.document import JSON, Operation, read_document

pytestmark = pytest.mark.needs("second key")
DOCUMENT = read_document()
# Operations whose path names an object; a pack that is public may be seen and run by all.
NAMING = [
    operation
    for operation in DOCUMENT.operations.values()
    if {"id", "tune_id"} & {one["name"] for one in operation.parameters if one["in"] == "path"}
]
TEXT: dict[str, Any] = {"text": "ohwx woman", "num_images": 1}


def mine(api: Api, world: World) -> list[Any]:
    """What must not have changed."""
    tune = f"/tunes/{world.tune['id']}"
    last = [prompt["id"] for prompt in api.get(f"{tune}/prompts", limit=2)]
    return [api.get(tune), api.get(f"/prompts/{world.prompt['id']}"), last]


@pytest.mark.parametrize("operation", NAMING, ids=lambda operation: operation.id)
def test_object_of_another_account_does_not_exist(
    api: Api, other: Api, world: World, operation: Operation
) -> None:
    if operation.id in NEEDS_PAID and (reason := api.target.lacks.get("paid")):
        pytest.skip(reason)
    for kind in operation.bodies or (JSON,):
        request = request_of(operation, world, kind)
        before = mine(api, world)
        assert request.send(other).status_code == 404
        assert mine(api, world) == before
        if operation.method == "DELETE":
            assert request.send(api).ok


def test_lists_show_nothing_of_another_account(api: Api, other: Api, world: World) -> None:
    tune, prompt = api.tune(), api.prompt(world.tune["id"], **TEXT)
    theirs = other.tune(prompts_attributes=[TEXT])
    assert tune["id"] not in [item["id"] for item in other.get("/tunes", limit=5)]
    assert theirs["id"] not in api.ids("/tunes", title=theirs["title"])
    assert prompt["id"] not in [item["id"] for item in other.get("/prompts", limit=5)]
    [nested] = other.page(f"/tunes/{theirs['id']}/prompts")
    assert nested["id"] not in [item["id"] for item in api.get("/prompts", limit=5)]


@pytest.mark.needs("paid")
def test_other_lists_show_nothing_of_another_account(api: Api, other: Api, world: World) -> None:
    made = api.prompt(FLUX, **TEXT)
    assert made["id"] not in other.ids(f"/tunes/{FLUX}/prompts")
    pack = api.ok("POST", "/packs", {"pack": {"title": api.unique("Own pack")}})
    assert pack["id"] not in other.ids("/packs")
    other.refused(404, "GET", f"/p/{pack['id']}")
    other.refused(404, "GET", f"/p/{pack['slug']}")
    assert world.workspace["id"] not in [one["id"] for one in other.get("/workspaces")]
    other.refused(404, "GET", "/tunes", headers={"X-Workspace-Id": str(world.workspace["id"])})


def test_each_key_has_a_user_of_its_own(api: Api, other: Api) -> None:
    users = [one.get("/users") for one in (api, other, api)]
    assert users[0] == users[2]
    assert users[0]["id"] != users[1]["id"]
    assert all(user["payer"]["id"] == user["id"] for user in users if user["payer"]["self"])


def test_reference_to_an_object_of_another_account_is_refused(
    api: Api, other: Api, world: World
) -> None:
    tune, prompt = world.tune["id"], world.prompt["id"]
    own = other.tune()
    at = f"/tunes/{own['id']}/prompts"
    bodies: list[tuple[str, Any, str]] = [
        ("/tunes", {"tune": other.tune_attributes(base_tune_id=tune)}, "base_tune_id"),
        ("/prompts", {"prompt": {**TEXT, "tune_id": tune}}, "tune"),
    ]
    if "paid" not in api.target.lacks:
        pack = api.ok("POST", "/packs", {"pack": {"title": api.unique("Own pack")}})["id"]
        run = {"tune_ids": [tune]}
        theme = {"theme": "Sea", "tune_ids": [tune]}
        bodies += [
            (at, {"prompt": {**TEXT, "base_pack_id": pack}}, "base_pack_id"),
            (at, {"prompt": {**TEXT, "pack_id": pack}}, "pack_id"),
            (at, {"prompt": {**TEXT, "workspace_id": world.workspace["id"]}}, "workspace_id"),
            (f"/p/{world.pack['slug']}/tunes", {"tune": run}, "tune_ids"),
            ("/themes", {"theme": theme}, "tune_ids"),
        ]
    before = mine(api, world), other.newest()
    for path, body, field in bodies:
        errors = other.refused(422, "POST", path, body).json()
        assert errors[field] == ["must exist"], path
    theirs = other.prompt(own["id"], **TEXT)
    for name, value in (("orig_prompt_id", prompt), ("base_pack_id", 1), ("pack_id", 1)):
        other.refused(422, "PATCH", f"/prompts/{theirs['id']}", {"prompt": {name: value}})
    other.ok("DELETE", f"/prompts/{theirs['id']}")
    assert (mine(api, world), other.newest()) == before


def test_text_that_names_a_tune_of_another_account_shows_nothing_of_it(
    api: Api, other: Api, world: World
) -> None:
    own = other.tune()
    made = other.prompt(own["id"], text=f"<lora:{world.tune['id']}:1> ohwx woman", num_images=1)
    assert made["tunes"] == []
    assert made["id"] not in api.ids(f"/tunes/{world.tune['id']}/prompts")


@pytest.mark.needs("paid")
def test_likes_of_another_account_do_not_count(api: Api, other: Api, world: World) -> None:
    before = api.get(f"/prompts/{world.prompt['id']}")
    other.refused(404, "POST", f"/prompts/{world.prompt['id']}/likes")
    assert api.get(f"/prompts/{world.prompt['id']}") == before


def test_accounts_may_use_the_same_titles(api: Api, other: Api) -> None:
    first = api.tune()
    theirs = other.tune(title=first["title"])
    assert theirs["id"] != first["id"]
    assert api.ids("/tunes", title=first["title"]) == [first["id"]]
    assert other.ids("/tunes", title=first["title"]) == [theirs["id"]]
