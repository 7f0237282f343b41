"""Lists are newest first, and their pages together are the whole list."""

from typing import Any

import pytest

from astria_contracts.client.api import PAGE, Api
from astria_contracts.client.world import World

MANY = PAGE + 5  # more than one page can hold
TEXT: dict[str, Any] = {"text": "ohwx woman", "num_images": 1}


class Crowd:
    """More tunes than one page holds, whose titles have a word in common, and as many prompts."""

    def __init__(self, api: Api):
        self.word = api.unique("crowd")
        nested = [{**TEXT, "text": f"ohwx woman {number}"} for number in range(MANY)]
        titles = [f"{self.word} {number}" for number in range(MANY)]
        self.tunes = [api.tune(title=title)["id"] for title in titles[1:]]
        self.home = api.tune(title=titles[0], prompts_attributes=nested)["id"]
        self.tunes = [*self.tunes, self.home][::-1]
        self.prompts = api.ids(f"/tunes/{self.home}/prompts")
        self.lists = {
            f"/tunes?title={self.word}".replace(" ", "%20"): self.tunes,
            f"/tunes/{self.home}/prompts": self.prompts,
            f"/prompts?tune_id={self.home}": self.prompts,
        }


@pytest.fixture(scope="module")
def crowd(api: Api) -> Crowd:
    return Crowd(api)


def ids(api: Api, path: str, **query: Any) -> list[int]:
    """The ids of one page."""
    path, _, fixed = path.partition("?")
    name, _, value = fixed.partition("=")
    more = {name: value.replace("%20", " ")} if fixed else {}
    return [item["id"] for item in api.get(path, **more, **query)]


LISTS = pytest.mark.parametrize("which", ["tunes", "prompts of a tune", "prompts"])
mock = pytest.mark.needs("mock")  # making so many costs too much elsewhere


def one_of(crowd: Crowd, which: str) -> tuple[str, list[int]]:
    at = ["tunes", "prompts of a tune", "prompts"].index(which)
    return list(crowd.lists.items())[at]


@mock
@LISTS
@pytest.mark.parametrize("limit", [1, 7, 119, 120])
def test_walk_by_before_id_is_the_whole_list(
    api: Api, crowd: Crowd, which: str, limit: int
) -> None:
    path, whole = one_of(crowd, which)
    whole = whole[: 8 * limit]  # small pages need not go all the way
    found: list[int] = []
    while len(found) < len(whole):
        page = ids(api, path, limit=limit, **({"before_id": found[-1]} if found else {}))
        assert page, f"the list ends after {len(found)} of {len(whole)}"
        found += page
        assert len(page) == limit or len(found) == len(whole)
    assert found == whole


@mock
@LISTS
@pytest.mark.parametrize("limit", [1, 50])
def test_walk_by_offset_is_the_whole_list(api: Api, crowd: Crowd, which: str, limit: int) -> None:
    path, whole = one_of(crowd, which)
    for offset in range(0, min(len(whole), 8 * limit), limit):
        assert ids(api, path, limit=limit, offset=offset) == whole[offset : offset + limit]
    assert ids(api, path, offset=len(whole)) == []


@mock
@LISTS
def test_page_holds_twenty_unless_it_is_told_and_at_most_120(
    api: Api, crowd: Crowd, which: str
) -> None:
    path, whole = one_of(crowd, which)
    assert ids(api, path) == whole[:20]
    assert ids(api, path, limit=PAGE) == ids(api, path, limit=PAGE + 1) == whole[:PAGE]
    assert ids(api, path, before_id=whole[2]) == whole[3:23]
    assert ids(api, path, before_id=whole[-1]) == []


@mock
@LISTS
def test_offset_may_stand_beside_before_id(api: Api, crowd: Crowd, which: str) -> None:
    path, whole = one_of(crowd, which)
    assert ids(api, path, before_id=whole[4], offset=2, limit=3) == whole[7:10]


@pytest.mark.parametrize("path", ["/tunes", "/prompts"])
def test_what_is_made_during_a_walk_moves_nothing(api: Api, world: World, path: str) -> None:
    made = [api.tune()["id"] if path == "/tunes" else api.prompt(world.tune["id"])["id"]]
    made += [api.tune()["id"] if path == "/tunes" else api.prompt(world.tune["id"])["id"]]
    first = ids(api, path, limit=1)
    made += [api.tune()["id"] if path == "/tunes" else api.prompt(world.tune["id"])["id"]]
    assert first + ids(api, path, limit=1, before_id=first[0]) == [made[1], made[0]]


@pytest.mark.parametrize(("path", "deepest"), [("/tunes", 200), ("/prompts", 10_000)])
def test_offset_that_is_too_deep_is_refused_and_names_before_id(
    api: Api, path: str, deepest: int
) -> None:
    assert isinstance(api.get(path, offset=deepest), list)
    answer = api.refused(400, "GET", path, query={"offset": deepest + 1})
    assert "before_id" in answer.json()["error"]


def test_list_shows_the_objects_as_they_are(api: Api, world: World) -> None:
    made = api.final(f"/prompts/{api.prompt(world.tune['id'])['id']}")
    tune = api.final(f"/tunes/{api.tune()['id']}")
    assert made in api.get("/prompts", limit=3)
    assert made in api.get(f"/tunes/{world.tune['id']}/prompts", limit=3)
    assert tune in api.get("/tunes", limit=3)


# -- filters ---------------------------------------------------------------------------------------
def test_tunes_are_filtered(api: Api) -> None:
    word = api.unique("Filtered")
    plan = [("One", "woman"), ("Two", "man"), ("One more", "cat"), ("two", "woman")]
    made = [api.tune(title=f"{word} {title}", name=name) for title, name in plan]
    one, two, three, four = (tune["id"] for tune in made)
    wanted: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [four, three, two, one]),
        ({"title": f"{word} one"}, [three, one]),  # any part, whatever its case
        ({"name[]": "woman"}, [four, one]),
        ({"name[]": ["man", "cat"]}, [three, two]),
        ({"title": f"{word} TWO", "name[]": "man"}, [two]),
        ({"branch": made[0]["branch"]}, [four, three, two, one]),
        ({"branch": "flux9"}, []),
        ({"model_type": "faceid"}, []),
        ({"name[]": "woman", "limit": 1, "offset": 1}, [one]),
        ({"before_id": four, "limit": 2}, [three, two]),
    ]
    for query, expected in wanted:
        found = [item["id"] for item in api.get("/tunes", **{"title": word, **query})]
        assert found == expected, query


def test_tunes_are_filtered_by_kind(api: Api, world: World) -> None:
    found = api.get("/tunes", title=world.lora["title"], model_type="lora", branch="flux1")
    assert [item["id"] for item in found] == [world.lora["id"]]
    assert api.get("/tunes", title=world.lora["title"], branch="sd15") == []
    assert api.get("/tunes", title=world.lora["title"], model_type="pti") == []
    assert all(item["branch"] == "sd15" for item in api.get("/gallery/tunes", branch="sd15"))
    every = api.get("/gallery/tunes", limit=PAGE)
    [flux] = [item for item in every if item["id"] == 1504944]
    assert flux in api.get("/gallery/tunes", title=flux["title"].upper())


def test_prompts_are_filtered(api: Api, world: World) -> None:
    tune = api.tune()
    at = f"/tunes/{tune['id']}/prompts"
    pack, place = world.pack["id"], {"X-Workspace-Id": "all"}
    first = api.prompt(tune["id"], text="ohwx woman in Paris", num_images=1)["id"]
    second = api.prompt(tune["id"], text="ohwx woman in Rome", base_pack_id=pack, num_images=1)[
        "id"
    ]
    copy = api.ok("POST", f"/prompts/{first}/duplicate", {"prompt": {"text": "in Rome"}})["id"]
    film = api.prompt(tune["id"], text="a film", video_model="seedance_480p", video_prompt="turn")
    api.ok("POST", f"/prompts/{second}/likes")
    everything = [film["id"], copy, second, first]
    user = api.get("/users")["id"] if "paid" not in api.target.lacks else None
    wanted: list[tuple[dict[str, Any], list[int]]] = [
        ({}, everything),
        ({"text": "rome"}, [copy, second]),
        ({"base_pack_id": pack}, [second]),
        ({"orig_prompt_id": first}, [copy]),
        ({"liked": "true"}, [second]),
        ({"liked": "false"}, [film["id"], copy, first]),
        ({"is_video": "true"}, [film["id"]]),
        ({"is_video": "false"}, [copy, second, first]),
        ({"is_api": "true"}, everything),
        ({"is_api": "false"}, []),
        ({"order_id": 1}, []),
        ({"pack_id": 1}, []),
        ({"text": "rome", "liked": "true"}, [second]),
        ({"text": "rome", "limit": 1, "offset": 1}, [second]),
        ({"tune_id": tune["id"]}, everything),
        ({"tune_id": world.tune["id"]}, []),
        *([({"user_id": user}, everything), ({"user_id": user + 1}, [])] if user else []),
    ]
    for query, expected in wanted:
        assert ids(api, at, **query) == expected, query
        if "tune_id" not in query:
            assert ids(api, "/prompts", tune_id=tune["id"], **query) == expected, query
    answer = api.call("GET", at, headers=place).json()
    assert [item["id"] for item in answer] == everything


@pytest.mark.needs("clock")
def test_prompts_of_today_are_those_of_this_day(api: Api) -> None:
    tune = api.tune(auto_extend=True)
    api.prompt(tune["id"])
    for _ in range(2):  # once more where midnight comes in between
        api.advance(days=1)
        late = api.prompt(tune["id"])
        found = ids(api, f"/tunes/{tune['id']}/prompts", today="true")
        if api.prompt(tune["id"])["created_at"][:10] == late["created_at"][:10]:
            break
    assert found == [late["id"]]
