"""Tunes: what is checked, what is answered, what changes and what goes."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.behaviour.tune_cases import FIELDS, GALLERY, ONE, created

TIMES = ("created_at", "started_training_at", "trained_at", "updated_at", "eta", "expires_at")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def moment(text):
    assert TIMESTAMP.fullmatch(text), text
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


# -- the object ------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [{}, {"branch": "flux1"}, {"branch": "sd15"}])
def test_tune_has_exactly_the_recorded_fields_before_and_after_training(slow, kind):
    tune = slow.tune(**kind, characteristics={"a": "b"}, preset="flux-lora-focus", auto_extend=True)
    assert set(tune) == FIELDS
    slow.finish()
    assert set(slow.get(f"/tunes/{tune['id']}")) == FIELDS


def test_tune_is_empty_before_it_is_trained(slow):
    tune = slow.tune()
    assert {key: tune[key] for key in FIELDS - {"id", "url", "orig_images", "eta"}} == {
        "title": "Jane",
        "name": "woman",
        "is_api": True,
        "token": "ohwx",
        "callback": None,
        "trained_at": None,
        "started_training_at": None,
        "expires_at": None,
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": "2026-01-01T00:00:00.000Z",
        "model_type": None,
        "base_tune_id": None,
        "branch": "fast",
        "args": None,
        "steps": None,
        "face_crop": False,
        "training_face_correct": False,
        "ckpt_url": None,
        "ckpt_urls": [],
        "cost_mc": 0,
    }
    assert tune["eta"] == "2026-01-01T00:01:00.000Z"


def test_tune_has_times_and_weights_when_it_is_trained(slow):
    tune = slow.tune()
    slow.finish()
    done = slow.get(f"/tunes/{tune['id']}")
    assert done["eta"] == done["trained_at"]
    assert moment(done["expires_at"]) - moment(done["trained_at"]) == timedelta(days=30)
    assert done["ckpt_urls"] == [done["ckpt_url"]]
    assert done["ckpt_url"].startswith("http://localhost/")
    unchanged = FIELDS - set(TIMES) - {"ckpt_url", "ckpt_urls"}
    assert {key: done[key] for key in unchanged} == {key: tune[key] for key in unchanged}


def test_tune_times_have_milliseconds_and_come_in_order(api):
    tune = api.tune()
    api.finish()
    done = api.get(f"/tunes/{tune['id']}")
    made, started, trained, updated, _, expires = (moment(done[name]) for name in TIMES)
    assert made <= started < trained <= updated < expires


def test_tune_is_started_but_not_trained_while_it_trains(slow):
    tune = slow.tune()
    training = slow.get(f"/tunes/{tune['id']}")
    assert training["started_training_at"] == tune["created_at"]
    assert training["trained_at"] is None
    assert training["expires_at"] is None


def test_tune_echoes_what_it_was_given(api):
    given = {
        "callback": "http://127.0.0.1:9/cb?a={ID}&b=%20",
        "steps": 300,
        "token": "zwx",
        "face_crop": True,
        "training_face_correct": True,
        "base_tune_id": 690204,
    }
    tune = api.tune(**given)
    assert {key: tune[key] for key in given} == given
    assert api.get(f"/tunes/{tune['id']}")["callback"] == given["callback"]


def test_tune_ids_ascend_above_every_gallery_id(api):
    first, second = api.tune()["id"], api.tune()["id"]
    assert max(GALLERY) < first < second


def test_tune_url_leads_to_the_tune(api):
    tune = api.tune()
    assert tune["url"] == f"http://localhost/tunes/{tune['id']}.json"
    assert api.get(tune["url"])["id"] == tune["id"]


def test_urls_keep_the_host_that_a_tune_was_created_through(api):
    body = {"tune": {"title": "t", "name": "man", "branch": "fast", "image_urls": ONE}}
    made = api.post("/tunes", body, base_url="http://127.0.0.1:81")
    seen = api.get(f"/tunes/{made['id']}")
    assert seen["url"].startswith("http://127.0.0.1:81/tunes/")
    assert seen["orig_images"][0].startswith("http://127.0.0.1:81/")


def test_urls_are_on_the_public_url_when_one_is_configured(make_api):
    api = make_api(public_url="https://emulator.test/")
    tune = api.tune()
    assert tune["url"] == f"https://emulator.test/tunes/{tune['id']}.json"
    assert tune["orig_images"][0].startswith("https://emulator.test/")


@pytest.mark.parametrize("count", [1, 2, 9])
def test_tune_has_one_original_picture_for_each_one_sent(api, count):
    tune = api.tune(image_urls=[f"https://example.com/{at}.jpg" for at in range(count)])
    assert len(set(tune["orig_images"])) == count
    assert api.get(f"/tunes/{tune['id']}")["orig_images"] == tune["orig_images"]


def test_nested_prompts_are_not_echoed_but_are_found_under_the_tune(api):
    tune = api.tune(prompts_attributes=[{"text": "one"}, {"text": "two"}])
    assert "prompts" not in tune
    assert "prompts_attributes" not in tune
    found = api.get(f"/tunes/{tune['id']}/prompts")
    assert [prompt["text"] for prompt in found] == ["two", "one"]


# -- branches, kinds and bases ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "branch", "model_type", "token"),
    [
        ({}, "sd15", None, "sks"),
        ({"branch": "sd15"}, "sd15", None, "sks"),
        ({"branch": "sd15", "model_type": "lora"}, "sd15", "lora", "sks"),
        ({"branch": "sdxl1"}, "sdxl1", "pti", "ohwx"),
        ({"branch": "sdxl1", "model_type": "lora"}, "sdxl1", "pti", "ohwx"),
        ({"branch": "flux1"}, "flux1", "lora", "ohwx"),
        ({"branch": "flux1", "model_type": "pti"}, "flux1", "lora", "ohwx"),
        ({"branch": "flux1", "model_type": "faceid"}, "flux1", "faceid", None),
        ({"branch": "sdxl1", "model_type": "faceid"}, "sdxl1", "faceid", None),
        ({"branch": "fast"}, "fast", None, "ohwx"),
        ({"branch": "fast", "base_tune_id": 690204}, "fast", None, "ohwx"),
        ({"base_tune_id": 690204}, "sd15", None, "sks"),
        ({"base_tune_id": 666678}, "sdxl1", "pti", "ohwx"),
        ({"base_tune_id": 1504944}, "flux1", "lora", "ohwx"),
        ({"base_tune_id": 1504944, "model_type": "lora"}, "flux1", "lora", "ohwx"),
        ({"base_tune_id": 3618064, "model_type": "faceid"}, "gemini-2", "faceid", None),
        ({"base_tune_id": 3691308, "model_type": "faceid"}, "partner-1", "faceid", None),
    ],
)
def test_tune_kind_follows_from_branch_and_base(api, given, branch, model_type, token):
    answer = created(api, title="t", name="man", image_urls=ONE, **given)
    assert answer.status_code == 201, answer.text
    tune = answer.json
    assert (tune["branch"], tune["model_type"], tune["token"]) == (branch, model_type, token)
    assert tune["base_tune_id"] == given.get("base_tune_id")


def test_own_tune_is_a_base_and_gives_its_branch(api):
    base = api.tune(branch="sd15")
    assert created(api, title="t", name="man", image_urls=ONE, base_tune_id=base["id"]).json[
        "branch"
    ] == ("sd15")


@pytest.mark.parametrize("unknown", [1, 5_999_999, 2**63 - 1])
def test_unknown_base_is_refused(api, unknown):
    answer = created(api, title="t", name="man", image_urls=ONE, base_tune_id=unknown)
    assert (answer.status_code, answer.json) == (422, {"base_tune_id": ["must exist"]})


def test_base_of_another_account_is_refused_like_an_unknown_one(api, other):
    answer = created(api, title="t", name="man", image_urls=ONE, base_tune_id=other.tune()["id"])
    assert (answer.status_code, answer.json) == (422, {"base_tune_id": ["must exist"]})


@pytest.mark.parametrize("branch", ["sd15", "flux1", "sdxl1"])
def test_faceid_tune_is_trained_as_it_is_made(slow, branch):
    tune = slow.tune(branch=branch, model_type="faceid")
    now = tune["created_at"]
    assert [tune[name] for name in ("trained_at", "started_training_at", "eta")] == [now] * 3
    assert moment(tune["expires_at"]) - moment(now) == timedelta(days=30)
    assert tune["token"] is None
    assert (tune["ckpt_url"], tune["ckpt_urls"]) == (None, [])


def test_faceid_tune_shows_the_token_that_it_was_given(api):
    assert api.tune(branch="sd15", model_type="faceid", token="ohwx")["token"] == "ohwx"


@pytest.mark.parametrize(
    ("given", "has_file"),
    [
        ({"branch": "fast"}, True),
        ({"branch": "sd15"}, True),
        ({"branch": "sd15", "model_type": "lora"}, True),
        ({"branch": "sdxl1"}, True),
        ({"branch": "flux1"}, False),
        ({"branch": "sd15", "model_type": "faceid"}, False),
    ],
)
def test_trained_tune_hands_out_weights_by_kind(api, given, has_file):
    tune = api.tune(**given)
    api.finish()
    done = api.get(f"/tunes/{tune['id']}")
    assert bool(done["ckpt_url"]) is has_file
    assert done["ckpt_urls"] == ([done["ckpt_url"]] if has_file else [])
