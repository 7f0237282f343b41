"""Accounts, their workspaces, and what is the same for all of them."""

from typing import Any

import pytest

from astria_contracts.client.api import FLUX, Api
from astria_contracts.client.world import World

TEXT: dict[str, Any] = {"text": "ohwx woman", "num_images": 1}


def test_models_name_tunes_and_no_version_of_the_command_line(api: Api) -> None:
    models = api.ok("GET", "/cli/models", key="")
    assert models["default"] in models["models"]
    assert models["default_video_model"] in models["video_models"]
    assert "cli" not in models, "the official command line would replace itself"
    if "paid" not in api.target.lacks:
        shown = [api.get(f"/tunes/{model['tune_id']}") for model in models["models"].values()]
        assert [tune["id"] for tune in shown] == [
            model["tune_id"] for model in models["models"].values()
        ]


def test_gallery_has_the_documented_base_models(api: Api) -> None:
    gallery = {tune["id"]: tune["branch"] for tune in api.get("/gallery/tunes", limit=100)}
    assert {1504944: "flux1", 690204: "sd15", 666678: "sdxl1"}.items() <= gallery.items()
    assert list(gallery) == sorted(gallery, reverse=True)
    assert api.get(f"/tunes/{FLUX}")["branch"] == "flux1"


# -- workspaces ------------------------------------------------------------------------------------
@pytest.mark.needs("paid")
def test_workspaces_are_listed_newest_first(api: Api) -> None:
    made = [
        api.ok("POST", "/workspaces", {"workspace": {"title": title}}) for title in ("One", "Two")
    ]
    assert api.get("/workspaces")[:2] == made[::-1]
    assert [api.get(f"/workspaces/{one['id']}") for one in made] == made


@pytest.mark.needs("paid")
def test_scope_shows_what_was_made_in_it(api: Api) -> None:
    places = [
        api.ok("POST", "/workspaces", {"workspace": {"title": title}})["id"]
        for title in ("Here", "There")
    ]
    here, there, both, home = (
        {"X-Workspace-Id": str(place)} for place in (*places, "all", "personal")
    )
    word = api.unique("Scoped")

    def tunes(headers: dict[str, str]) -> list[Any]:
        answer = api.ok("GET", "/tunes", query={"title": word}, headers=headers)
        return [item["id"] for item in answer]

    body = {"tune": api.tune_attributes(title=word, prompts_attributes=[TEXT])}
    first = api.ok("POST", "/tunes", body, headers=here)["id"]
    second = api.tune(title=word)["id"]
    assert (tunes(here), tunes(there), tunes(home)) == ([first], [], [second])
    assert tunes(both) == [second, first]
    assert tunes({}) == [second]
    assert api.get(f"/tunes/{first}")["id"] == first  # whatever the scope
    [nested] = api.ok("GET", f"/tunes/{first}/prompts", headers=here)
    assert nested["workspace_id"] == places[0]
    assert api.ok("GET", f"/tunes/{first}/prompts", headers=there) == []


@pytest.mark.needs("paid")
def test_prompt_is_moved_between_scopes(api: Api, world: World) -> None:
    place = world.workspace["id"]
    headers = {"X-Workspace-Id": str(place)}
    path = f"/tunes/{world.tune['id']}/prompts"
    made = api.prompt(world.tune["id"], workspace_id=place, **TEXT)
    assert made["id"] not in api.ids(path)
    assert made["id"] in [item["id"] for item in api.ok("GET", path, headers=headers)]
    api.ok("PATCH", f"/prompts/{made['id']}", {"prompt": {"workspace_id": None}})
    assert made["id"] in api.ids(path)
    assert made["id"] not in [item["id"] for item in api.ok("GET", path, headers=headers)]
