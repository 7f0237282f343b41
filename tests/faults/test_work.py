"""Faults of training and prompts."""

import pytest


def fault(api, fault, **more):
    answer = api.client.post("/_emulator/faults", json={"fault": fault, **more})
    assert answer.status_code == 201, answer.text
    return answer.json


def test_training_that_fails_leaves_the_tune_untrained_and_ends_its_prompts(api):
    fault(api, "training-fails", message="Too dark.")
    tune = api.tune(prompts_attributes=[{"text": "ohwx woman"}])
    api.finish()
    assert api.get(f"/tunes/{tune['id']}")["trained_at"] is None
    [prompt] = api.get(f"/tunes/{tune['id']}/prompts")
    assert (prompt["images"], bool(prompt["user_error"])) == ([], True)
    inside = api.client.get(f"/_emulator/tunes/{tune['id']}").json
    assert (inside["state"], inside["failure"]) == ("failed", "Too dark.")


def test_only_the_nth_training_fails(api):
    fault(api, "training-fails", nth=[2])
    tunes = [api.tune(title=title) for title in "abc"]
    api.finish()
    trained = [bool(api.get(f"/tunes/{tune['id']}")["trained_at"]) for tune in tunes]
    assert trained == [True, False, True]


def test_training_fails_for_its_key_only(make_app):
    from tests.conftest import Api

    app = make_app()
    one, other = Api(app.test_client(), "sd_one"), Api(app.test_client(), "sd_other")
    fault(one, "training-fails", key="sd_other")
    mine, theirs = one.tune(), other.tune()
    one.finish()
    assert one.get(f"/tunes/{mine['id']}")["trained_at"]
    assert other.get(f"/tunes/{theirs['id']}")["trained_at"] is None


def test_prompt_that_fails_has_a_user_error_and_calls_back(api, receiver):
    fault(api, "prompt-fails", message="contains a forbidden word", times=1)
    first = api.prompt(690204, callback=receiver.url)
    second = api.prompt(690204)
    api.finish()
    shown = api.get(f"/prompts/{first['id']}")
    assert (shown["user_error"], shown["images"]) == ("contains a forbidden word", [])
    assert shown["trained_at"]
    assert [body["prompt"]["images"] for _, body in receiver.received] == [[]]
    assert api.get(f"/prompts/{second['id']}")["images"]


@pytest.mark.parametrize("seconds", [0, 600])
def test_slow_training_takes_its_seconds_more(api, seconds):
    fault(api, "slow-training", seconds=seconds)
    tune = api.tune()
    api.client.post("/_emulator/clock", json={"seconds": 100})
    assert bool(api.get(f"/tunes/{tune['id']}")["trained_at"]) is (seconds == 0)
    api.client.post("/_emulator/clock", json={"seconds": 600})
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]


def test_slow_prompt_takes_its_seconds_more(api):
    fault(api, "slow-prompt", seconds=600)
    prompt = api.prompt(690204)
    api.client.post("/_emulator/clock", json={"seconds": 100})
    assert api.get(f"/prompts/{prompt['id']}")["trained_at"] is None
    api.client.post("/_emulator/clock", json={"seconds": 600})
    assert api.get(f"/prompts/{prompt['id']}")["images"]


def test_tune_expires_as_soon_as_it_is_trained(api):
    fault(api, "tune-expires")
    tune = api.tune()
    api.finish()
    api.get("/tunes")
    shown = api.get(f"/tunes/{tune['id']}")
    assert shown["expires_at"] == shown["trained_at"]
    refused = api.call(
        "POST", f"/tunes/{tune['id']}/prompts", json={"prompt": {"text": "ohwx woman"}}
    )
    assert (refused.status_code, refused.json) == (
        422,
        {"base": [f"Tune {tune['id']} has expired."]},
    )


def test_tune_expires_some_time_after_its_training(api):
    fault(api, "tune-expires", seconds=3600)
    tune = api.tune()
    api.finish()
    assert api.prompt(tune["id"])
    api.client.post("/_emulator/clock", json={"hours": 2})
    refused = api.call("POST", f"/tunes/{tune['id']}/prompts", json={"prompt": {"text": "x"}})
    assert refused.status_code == 422
