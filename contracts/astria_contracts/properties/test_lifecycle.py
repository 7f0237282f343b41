"""Tunes and prompts go forward, end, and stay as they ended."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from astria_contracts.client.api import Api
from astria_contracts.client.world import World

STORAGE = timedelta(days=30)


def at(time: str) -> datetime:
    return datetime.fromisoformat(time)


def stage(shown: Any) -> int:
    """How far an object is: made, begun or ended."""
    return 2 if shown["trained_at"] else 1 if shown["started_training_at"] else 0


def test_new_tune_has_begun_nothing(api: Api) -> None:
    made = api.tune()
    assert [made[name] for name in ("trained_at", "expires_at", "ckpt_url")] == [None] * 3
    assert (made["ckpt_urls"], len(made["orig_images"])) == ([], 2)
    assert at(made["eta"]) >= at(made["created_at"])


def test_tune_goes_forward_to_its_end(api: Api) -> None:
    made = api.tune()
    stages = [stage(made), stage(api.get(f"/tunes/{made['id']}"))]
    ended = api.final(f"/tunes/{made['id']}")
    assert [*stages, stage(ended)] == sorted([*stages, 2])
    assert at(made["created_at"]) <= at(ended["started_training_at"]) <= at(ended["trained_at"])
    assert at(ended["expires_at"]) - at(ended["trained_at"]) == STORAGE
    assert ended["updated_at"] >= ended["trained_at"]


def test_tune_hands_out_its_weights_once_trained(api: Api, world: World) -> None:
    tune = world.tune
    assert tune["ckpt_urls"] == [tune["ckpt_url"]]
    weights = api.fetch(tune["ckpt_url"])
    assert weights.status_code == 200
    assert len(weights.content) > 8
    assert not weights.content.lstrip().startswith((b"<", b"{"))


def test_new_prompt_has_no_pictures(api: Api, world: World) -> None:
    made = api.prompt(world.tune["id"], num_images=3)
    assert (made["trained_at"], made["images"], made["user_error"]) == (None, [], None)
    assert made["tune"] == {"id": world.tune["id"], "title": world.tune["title"]}


@pytest.mark.parametrize("count", [1, 8])
def test_prompt_goes_forward_to_its_pictures(api: Api, world: World, count: int) -> None:
    made = api.prompt(world.tune["id"], num_images=count)
    stages = [stage(made), stage(api.get(f"/prompts/{made['id']}"))]
    ended = api.final(f"/prompts/{made['id']}")
    assert [*stages, stage(ended)] == sorted([*stages, 2])
    assert len(set(ended["images"])) == count
    assert at(made["created_at"]) <= at(ended["started_training_at"]) <= at(ended["trained_at"])
    assert ended["updated_at"] >= ended["trained_at"]


def test_prompt_waits_for_its_tune(api: Api) -> None:
    tune = api.tune(prompts_attributes=[{"text": "ohwx woman", "num_images": 1}])
    late = api.prompt(tune["id"], num_images=1)
    ends = []
    for _ in range(5):  # while the tune may still be in training
        seen = api.get(f"/prompts/{late['id']}")
        ends.append((seen["trained_at"], api.get(f"/tunes/{tune['id']}")["trained_at"]))
    trained = api.final(f"/tunes/{tune['id']}")
    for prompt in api.page(f"/tunes/{tune['id']}/prompts"):
        ended = api.final(f"/prompts/{prompt['id']}")
        assert ended["started_training_at"] >= trained["trained_at"]
    assert not [prompt for prompt, tune_end in ends if prompt and not tune_end]


def test_nested_prompts_are_made_in_their_order(api: Api) -> None:
    texts = [f"ohwx woman, number {number}" for number in range(3)]
    tune = api.tune(prompts_attributes=[{"text": text, "num_images": 1} for text in texts])
    found = api.page(f"/tunes/{tune['id']}/prompts")
    assert [prompt["text"] for prompt in reversed(found)] == texts


def test_what_has_ended_stays_as_it_is(api: Api) -> None:
    tune = api.final(f"/tunes/{api.tune()['id']}")
    first = api.prompt(tune["id"], num_images=1)
    assert api.get(f"/tunes/{tune['id']}") == tune
    prompt = api.final(f"/prompts/{first['id']}")
    api.prompt(tune["id"], num_images=1)
    api.tune()
    for _ in range(2):  # while there is work to be done, and when there is none
        assert api.get(f"/tunes/{tune['id']}") == tune
        assert api.get(f"/prompts/{prompt['id']}") == prompt
        api.finish()


def test_ids_ascend(api: Api, world: World) -> None:
    tunes = [api.tune()["id"] for _ in range(3)]
    prompts = [api.prompt(world.tune["id"], num_images=1)["id"] for _ in range(3)]
    assert tunes == sorted(set(tunes))
    assert prompts == sorted(set(prompts))


def test_faceid_tune_is_ready_as_it_is_made(api: Api) -> None:
    made = api.faceid()
    assert made["trained_at"]
    assert at(made["expires_at"]) - at(made["trained_at"]) == STORAGE
    assert (made["model_type"], made["token"], made["ckpt_url"]) == ("faceid", None, None)


def test_patch_changes_the_time_of_change_and_no_other(api: Api, world: World) -> None:
    before = api.get(f"/tunes/{world.tune['id']}")
    changed = api.ok("PATCH", f"/tunes/{before['id']}", {"tune": {"title": before["title"]}})
    assert changed["updated_at"] >= before["updated_at"]
    assert {**changed, "updated_at": None} == {**before, "updated_at": None}
    assert api.get(f"/tunes/{before['id']}") == changed
