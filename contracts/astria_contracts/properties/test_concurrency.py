"""Requests at the same time do what they would do one after another."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from astria_contracts.client.api import Api
from astria_contracts.client.world import World
from astria_contracts.properties.test_idempotency import idempotent

THREADS, TIMES = 8, 24
TEXT: dict[str, Any] = {"text": "ohwx woman", "num_images": 1}


def at_once(do: Callable[[int], Any]) -> list[Any]:
    """What is returned by so many calls, several at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(do, range(TIMES)))


def test_tunes_made_at_once_are_all_there_and_their_own(api: Api) -> None:
    word = api.unique("At once")
    made = at_once(lambda number: api.tune(title=f"{word}, {number}", prompts_attributes=[TEXT]))
    ids = {tune["id"]: tune["title"] for tune in made}
    assert len(ids) == TIMES
    assert ids == {item["id"]: item["title"] for item in api.page("/tunes", title=word)}
    for tune in made:
        assert tune["title"] == f"{word}, {made.index(tune)}"
        assert len(api.page(f"/tunes/{tune['id']}/prompts")) == 1


def test_prompts_made_at_once_are_all_there_and_their_own(api: Api, world: World) -> None:
    tune = api.tune()
    made = at_once(lambda number: api.prompt(tune["id"], text=f"woman {number}", seed=number))
    assert [(one["text"], one["seed"]) for one in made] == [
        (f"woman {number}", number) for number in range(TIMES)
    ]
    ids = sorted((one["id"] for one in made), reverse=True)
    assert api.ids(f"/tunes/{tune['id']}/prompts") == ids
    assert len(set(ids)) == TIMES


@pytest.mark.needs("second key")
def test_accounts_at_once_do_not_mix(api: Api, other: Api) -> None:
    words = [one.unique("At once") for one in (api, other)]
    made = at_once(lambda number: (api, other)[number % 2].tune(title=words[number % 2])["id"])
    for account, word, ids in zip((api, other), words, (made[::2], made[1::2]), strict=True):
        assert account.ids("/tunes", title=word) == sorted(ids, reverse=True)


@pytest.mark.needs("idempotency switch")
def test_one_title_sent_at_once_makes_one_tune(api: Api) -> None:
    title = api.unique("Only one")
    with idempotent(api):
        made = at_once(lambda _: api.tune(title=title, prompts_attributes=[TEXT]))
    [id] = {tune["id"] for tune in made}
    assert api.ids("/tunes", title=title) == [id]
    assert len(api.page(f"/tunes/{id}/prompts")) == 1


def test_deleting_at_once_succeeds_once(api: Api, world: World) -> None:
    path = f"/prompts/{api.prompt(world.tune['id'], **TEXT)['id']}"
    statuses = at_once(lambda _: api.call("DELETE", path).status_code)
    assert sorted(statuses)[1:] == [404] * (TIMES - 1)
    assert min(statuses) in (200, 204)


def test_changes_at_once_leave_one_of_them(api: Api) -> None:
    made = api.tune()
    names = [f"name {number}" for number in range(TIMES)]
    path = f"/tunes/{made['id']}"
    shown = at_once(lambda number: api.ok("PATCH", path, {"tune": {"name": names[number]}}))
    assert [tune["name"] for tune in shown] == names
    assert api.get(path)["name"] in names


def test_likes_at_once_count_once(api: Api, world: World) -> None:
    made = api.prompt(world.tune["id"], **TEXT)
    at_once(lambda _: api.ok("POST", f"/prompts/{made['id']}/likes"))
    assert api.get(f"/prompts/{made['id']}")["prompt_likes_count"] == 1
