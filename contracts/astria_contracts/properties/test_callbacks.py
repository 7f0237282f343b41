"""A callback is sent once, when its object is final, and nothing depends on its answer."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from astria_contracts.client.api import FLUX, Api
from astria_contracts.client.listener import Listener
from astria_contracts.client.sample_requests import run_body
from astria_contracts.client.world import World
from astria_contracts.spec.document import MULTIPART, URLENCODED

pytestmark = pytest.mark.needs("callbacks")
QUERY = "?user_id=1&name=J%C3%BCrgen%20O&b=2&a=1&empty=&t={TUNE_ID}"  # order and escapes matter
TEXT: dict[str, Any] = {"text": "ohwx woman in a garden", "num_images": 1}


@pytest.fixture
def place(api: Api) -> Callable[[], str]:
    """A path that is unique, with a query string."""
    return lambda: api.unique("callback").replace(" ", "-") + QUERY


def one_call(api: Api, listener: Listener, place: str, operation: str, name: str) -> Any:
    """The body of the one call to a place; it fits the contract's schema."""
    calls = listener.wait(place)
    assert len(calls) == 1, f"{len(calls)} calls to {place}"
    schema = api.target.document.operations[operation].callbacks[name]
    assert api.target.document.problems(schema, calls[0].body) == []
    api.target.coverage.record_callback(operation, name)
    return calls[0].body


def is_part_of(shown: Any, body: Any) -> bool:
    """Whether all fields of a callback's object are those of the object itself."""
    return {name: shown[name] for name in body} == dict(body)


# -- what is sent ----------------------------------------------------------------------------------
def test_trained_tune_is_told_once_and_reduced(
    api: Api, listener: Listener, place: Callable[[], str]
) -> None:
    made = api.tune(callback=listener.url(at := place()))
    assert listener.calls(at) == []
    shown = api.final(f"/tunes/{made['id']}")
    body = one_call(api, listener, at, "create_tune", "tune_trained")
    assert list(body) == ["tune"]
    assert is_part_of(shown, body["tune"])
    assert {"url", "callback", "orig_images", "branch", "token"}.isdisjoint(body["tune"])
    assert body["tune"]["trained_at"]


def by_tune(api: Api, world: World, url: str) -> Any:
    return api.prompt(world.tune["id"], callback=url, num_images=1)


def by_body(api: Api, world: World, url: str) -> Any:
    body = {"prompt": {**TEXT, "tune_id": world.tune["id"], "callback": url}}
    return api.ok("POST", "/prompts", body)


def by_copy(api: Api, world: World, url: str) -> Any:
    body = {"prompt": {"callback": url, "num_images": 1}}
    return api.ok("POST", f"/prompts/{world.prompt['id']}/duplicate", body)


def by_nesting(api: Api, world: World, url: str) -> Any:
    tune = api.tune(prompts_attributes=[{**TEXT, "callback": url}])
    return api.page(f"/tunes/{tune['id']}/prompts")[0]


def by_pack(api: Api, world: World, url: str) -> Any:
    run: Any = {**run_body(world)["tune"], "prompt_attributes": {"callback": url, "num_images": 1}}
    tune = api.ok("POST", f"/p/{world.pack['slug']}/tunes", {"tune": run})
    return api.page(f"/tunes/{tune['id']}/prompts")[0]


# The ways in which a prompt is made, by the operation that is asked.
MAKERS: dict[str, Callable[[Api, World, str], Any]] = {
    "create_tune_prompt": by_tune,
    "create_prompt": by_body,
    "duplicate_prompt": by_copy,
    "create_tune": by_nesting,
    "run_pack": by_pack,
}


@pytest.mark.parametrize("operation", MAKERS)
def test_ended_prompt_is_told_once_and_reduced(
    api: Api,
    world: World,
    listener: Listener,
    place: Callable[[], str],
    operation: str,
) -> None:
    made = MAKERS[operation](api, world, listener.url(at := place()))
    assert listener.calls(at) == []
    shown = api.final(f"/prompts/{made['id']}")
    body = one_call(api, listener, at, operation, "prompt_finished")
    assert list(body) == ["prompt"]
    assert is_part_of(shown, body["prompt"])
    assert {"url", "callback", "tunes", "seed", "liked"}.isdisjoint(body["prompt"])
    assert len(body["prompt"]["images"]) == shown["num_images"]


def test_call_is_a_plain_post_of_json_at_the_address_as_it_was_given(
    api: Api, listener: Listener, place: Callable[[], str]
) -> None:
    made = api.tune(callback=listener.url(at := place()))
    assert made["callback"] == listener.url(at)
    api.final(f"/tunes/{made['id']}")
    [call] = listener.wait(at)
    assert (call.method, call.path) == ("POST", f"/{at}")
    assert call.headers["content-type"].partition(";")[0] == "application/json"
    assert "authorization" not in call.headers


@pytest.mark.parametrize("media_type", [MULTIPART, URLENCODED])
def test_callback_sent_in_a_form_is_called(
    api: Api, world: World, listener: Listener, place: Callable[[], str], media_type: str
) -> None:
    url = listener.url(at := place())
    made = api.prompt(world.tune["id"], media_type=media_type, callback=url, num_images=1)
    api.final(f"/prompts/{made['id']}")
    assert [call.path for call in listener.wait(at)] == [f"/{at}"]


# -- order -----------------------------------------------------------------------------------------
def test_tune_is_told_before_its_prompts(
    api: Api, listener: Listener, place: Callable[[], str]
) -> None:
    first, *others = places = [place() for _ in range(3)]
    prompts = [{**TEXT, "callback": listener.url(at)} for at in others]
    made = api.tune(callback=listener.url(first), prompts_attributes=prompts)
    for prompt in api.page(f"/tunes/{made['id']}/prompts"):
        api.final(f"/prompts/{prompt['id']}")
    calls = [listener.wait(at) for at in places]
    assert list(map(len, calls)) == [1, 1, 1]
    numbers = [call.number for [call] in calls]
    assert min(numbers) == numbers[0]


def test_nothing_is_told_while_the_object_is_not_final(
    api: Api, listener: Listener, place: Callable[[], str]
) -> None:
    nested = [{**TEXT, "callback": listener.url(later := place())}]
    made = api.tune(callback=listener.url(at := place()), prompts_attributes=nested)
    for _ in range(5):
        calls = len(listener.calls(at)), len(listener.calls(later))
        if not api.get(f"/tunes/{made['id']}")["trained_at"]:
            assert calls == (0, 0)
    api.final(f"/tunes/{made['id']}")
    [call] = listener.wait(at)
    assert call.body["tune"]["trained_at"]


# -- no callback ------------------------------------------------------------------------
@pytest.mark.needs("finish")
@pytest.mark.parametrize("kind", ["tune", "prompt"])
def test_nothing_is_told_of_what_was_deleted(
    api: Api, world: World, listener: Listener, place: Callable[[], str], kind: str
) -> None:
    url, later = listener.url(at := place()), listener.url(nested := place())
    if kind == "tune":
        made = api.tune(callback=url, prompts_attributes=[{**TEXT, "callback": later}])
    else:
        made = api.prompt(world.tune["id"], callback=url)
    assert not made["trained_at"], "it has ended at once"
    api.ok("DELETE", f"/{kind}s/{made['id']}")
    api.finish()
    assert (listener.calls(at), listener.calls(nested)) == ([], [])


@pytest.mark.needs("finish")
def test_faceid_tune_tells_nobody(api: Api, listener: Listener, place: Callable[[], str]) -> None:
    api.faceid(callback=listener.url(at := place()))
    api.finish()
    assert listener.calls(at) == []


def test_blank_callback_is_none(api: Api, world: World) -> None:
    made = api.prompt(world.tune["id"], callback="", num_images=1)
    tune = api.tune(media_type=URLENCODED, callback="")
    assert (made["callback"], tune["callback"]) == (None, None)


# -- what the receiver does ------------------------------------------------------------------------
@pytest.mark.parametrize("status", [404, 500, 302])
def test_answer_of_the_receiver_changes_nothing(
    api: Api, listener: Listener, place: Callable[[], str], status: int
) -> None:
    at, later, other = place(), place(), api.unique("elsewhere").replace(" ", "-")
    listener.statuses |= {one.partition("?")[0]: status for one in (at, later)}
    listener.redirect = listener.url(other)
    nested = [{**TEXT, "callback": listener.url(later)}]
    made = api.tune(callback=listener.url(at), prompts_attributes=nested)
    tune = api.final(f"/tunes/{made['id']}")
    [nested_prompt] = api.page(f"/tunes/{made['id']}/prompts")
    prompt = api.final(f"/prompts/{nested_prompt['id']}")
    assert len(prompt["images"]) == 1
    listener.wait(later)
    if "clock" not in api.target.lacks:
        api.advance(hours=1)
    api.finish()
    counts = [len(listener.wait(place)) for place in (at, later)]
    assert (counts, listener.calls(other)) == ([1, 1], [])
    assert api.get(f"/tunes/{made['id']}") == tune
    assert api.get(f"/prompts/{prompt['id']}") == prompt


# -- a pack's run ----------------------------------------------------------------------------------
def test_pack_run_tells_of_the_tune_of_each_prompt_and_once_of_all(
    api: Api, world: World, listener: Listener, place: Callable[[], str]
) -> None:
    tune, each, together = (place() for _ in range(3))
    run = {**run_body(world)["tune"], "callback": listener.url(tune)}
    del run["prompt_ids"]
    run["prompts_callback"] = listener.url(together)
    run["prompt_attributes"] = {"num_images": 1, "callback": listener.url(each)}
    made = api.ok("POST", f"/p/{world.pack['slug']}/tunes", {"tune": run})
    prompts = api.page(f"/tunes/{made['id']}/prompts")
    assert len(prompts) > 1
    shown = {prompt["id"]: api.final(f"/prompts/{prompt['id']}") for prompt in prompts}
    body = one_call(api, listener, together, "run_pack", "prompts_finished")
    assert sorted(prompt["id"] for prompt in body) == sorted(shown)
    assert all(is_part_of(shown[prompt["id"]], prompt) for prompt in body)
    one_call(api, listener, tune, "run_pack", "tune_trained")
    calls = listener.wait(each, count=len(prompts))
    assert sorted(call.body["prompt"]["id"] for call in calls) == sorted(shown)
    assert listener.calls(together)[0].number > max(call.number for call in calls)


def test_run_on_tunes_that_exist_tells_once_of_all(
    api: Api, world: World, listener: Listener, place: Callable[[], str]
) -> None:
    url = listener.url(at := place())
    run: dict[str, Any] = {"tune_ids": [world.tune["id"]], "prompts_callback": url}
    run["prompt_attributes"] = {"num_images": 1}
    api.ok("POST", f"/p/{world.pack['slug']}/tunes", {"tune": run})
    api.finish()
    together = one_call(api, listener, at, "run_pack", "prompts_finished")
    wanted = len(world.pack["prompts_per_class"]["woman"])
    assert len({body["id"] for body in together}) == wanted
    assert all(len(body["images"]) == 1 for body in together)


def test_prompt_moved_to_a_base_is_told_of_with_the_base(
    api: Api, world: World, listener: Listener, place: Callable[[], str]
) -> None:
    made = api.prompt(world.lora["id"], callback=listener.url(at := place()), num_images=1)
    api.final(f"/prompts/{made['id']}")
    body = one_call(api, listener, at, "create_tune_prompt", "prompt_finished")
    assert body["prompt"]["tune_id"] == FLUX


def ids_in(body: Any) -> list[str]:
    """The objects in a callback's body: `tune 1`, `prompt 2`."""
    wrapped = body.items() if isinstance(body, dict) else (("prompt", one) for one in body)
    return [f"{kind} {shown['id']}" for kind, shown in wrapped]


# -- all of the above ------------------------------------------------------------------------------
def test_nobody_is_told_twice_of_one_object(listener: Listener) -> None:
    """Also of what the other properties have asked for: a second call may have come late."""
    body = Counter((call.path, *ids_in(call.body)) for call in listener.all())
    if not body:
        pytest.skip("no other property has asked for a call")
    assert [place for place, count in body.items() if count > 1] == []
