"""Storage ends 30 days after training, and is extended where asked for."""

from datetime import timedelta

import pytest

from tests.behaviour.lifecycle_cases import advance, moment

DAY = timedelta(days=1)


# -- expiry ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "kind",
    [{"branch": "fast"}, {"branch": "flux1"}, {"branch": "sd15", "model_type": "faceid"}],
)
def test_tune_expires_after_thirty_days_with_its_files_and_prompts(api, kind):
    tune = api.tune(**kind)
    prompt = api.prompt(tune["id"], "a", num_images=1)
    api.finish()
    before = api.get(f"/tunes/{tune['id']}")
    files = [*before["orig_images"], *before["ckpt_urls"]]
    files += api.get(f"/prompts/{prompt['id']}")["images"]
    assert {api.client.get(url).status_code for url in files} == {200}
    advance(api, days=31)
    assert {api.client.get(url).status_code for url in files} == {404}
    assert api.call("GET", f"/prompts/{prompt['id']}").status_code == 404
    after = api.get(f"/tunes/{tune['id']}")
    assert (after["trained_at"], after["expires_at"]) == (
        before["trained_at"],
        before["expires_at"],
    )
    assert (after["ckpt_url"], after["ckpt_urls"], after["orig_images"]) == (None, [], [])
    assert [listed["id"] for listed in api.get("/tunes")] == [tune["id"]]


def test_tune_is_there_until_its_expires_at(api):
    tune = api.tune()
    api.finish()
    expires = moment(api.get(f"/tunes/{tune['id']}")["expires_at"])
    now = moment(advance(api, days=29))
    advance(api, seconds=(expires - now).total_seconds() - 1)
    [url] = tune["orig_images"]
    assert api.client.get(url).status_code == 200
    advance(api, seconds=1)
    assert api.client.get(url).status_code == 404


@pytest.mark.parametrize("place", ["under it", "named on the base", "without the path"])
def test_prompt_with_an_expired_tune_is_refused(api, lora, place):
    advance(api, days=31)
    id = lora["id"]
    path, prompt = {
        "under it": (f"/tunes/{id}/prompts", {"text": "a"}),
        "named on the base": ("/tunes/1504944/prompts", {"text": f"<lora:{id}:1> a"}),
        "without the path": ("/prompts", {"text": "a", "tune_id": id}),
    }[place]
    answer = api.call("POST", path, json={"prompt": prompt})
    assert (answer.status_code, answer.json) == (422, {"base": [f"Tune {id} has expired."]})


def test_prompt_with_two_expired_tunes_names_both(api, lora, faceid):
    advance(api, days=31)
    text = f"<faceid:{faceid['id']}:1> <lora:{lora['id']}:1> a"
    answer = api.call("POST", "/tunes/1504944/prompts", json={"prompt": {"text": text}})
    messages = [f"Tune {tune['id']} has expired." for tune in (faceid, lora)]
    assert (answer.status_code, answer.json) == (422, {"base": messages})


def test_prompt_under_an_adapter_whose_base_has_expired_is_refused(api):
    checkpoint = api.tune(branch="sd15")
    api.finish()
    face = api.tune(
        branch=None, base_tune_id=checkpoint["id"], model_type="faceid", auto_extend=True
    )
    advance(api, days=31)
    body = {"prompt": {"text": "a"}}
    answer = api.call("POST", f"/tunes/{face['id']}/prompts", json=body)
    assert (answer.status_code, answer.json) == (
        422,
        {"base": [f"Tune {checkpoint['id']} has expired."]},
    )


def test_expired_tune_is_no_base(api):
    checkpoint = api.tune(branch="sd15")
    advance(api, days=31)
    body = {"title": "t", "name": "man", "image_urls": ["https://example.com/1.jpg"]}
    answer = api.call("POST", "/tunes", json={"tune": {**body, "base_tune_id": checkpoint["id"]}})
    assert (answer.status_code, answer.json) == (422, {"base_tune_id": ["must exist"]})


def test_expiry_of_a_lora_leaves_prompts_that_only_name_it(api, lora):
    naming = api.prompt(1504944, f"<lora:{lora['id']}:1> a", num_images=1)
    api.finish()
    advance(api, days=31)
    [picture] = api.get(f"/prompts/{naming['id']}")["images"]
    assert api.client.get(picture).status_code == 200


@pytest.mark.parametrize("how", ["at creation", "by patch"])
def test_auto_extend_prolongs_storage_by_thirty_days_each_time(api, how):
    tune = api.tune(auto_extend=how == "at creation")
    api.finish()
    if how == "by patch":
        change = {"tune": {"auto_extend": True}}
        assert api.call("PATCH", f"/tunes/{tune['id']}", json=change).status_code == 200
    trained = moment(api.get(f"/tunes/{tune['id']}")["trained_at"])
    for days in (60, 90):
        advance(api, days=30)
        extended = api.get(f"/tunes/{tune['id']}")
        assert moment(extended["expires_at"]) - trained == days * DAY
        assert api.client.get(extended["orig_images"][0]).status_code == 200
    assert api.prompt(tune["id"], "a")["id"]


def test_tune_expires_after_auto_extend_was_taken_back(api):
    tune = api.tune(auto_extend=True)
    advance(api, days=31)
    change = {"tune": {"auto_extend": False}}
    api.call("PATCH", f"/tunes/{tune['id']}", json=change)
    advance(api, days=30)
    assert api.client.get(tune["orig_images"][0]).status_code == 404


def test_finish_completes_work_without_expiring_anything(api):
    tune = api.tune()
    api.finish()
    api.finish()
    assert api.client.get(tune["orig_images"][0]).status_code == 200
    assert [job["kind"] for job in api.client.get("/_emulator/jobs").json] == ["expire_tune"]


def test_gallery_never_expires(api):
    advance(api, days=3000)
    assert api.prompt(690204)["tune_id"] == 690204


# -- deletion in between ---------------------------------------------------------------------------
def test_prompt_deleted_in_flight_leaves_no_pictures(slow):
    prompt = slow.prompt(690204)
    assert slow.get(f"/prompts/{prompt['id']}")["started_training_at"]
    slow.call("DELETE", f"/prompts/{prompt['id']}")
    slow.finish()
    assert slow.call("GET", f"/prompts/{prompt['id']}").status_code == 404


def test_log_and_header_tell_which_backend_serves_a_branch(api, caplog):
    caplog.set_level("INFO", logger="astria_emulator")
    tune = {"title": "Jane", "name": "cat", "branch": "flux1", "image_urls": ["http://x/1"]}
    made = api.call("POST", "/tunes", json={"tune": tune})
    prompt = api.call("POST", "/tunes/666678/prompts", json={"prompt": {"text": "a boat"}})
    assert made.headers["X-Astria-Emulator-Backend"] == "mock"
    assert prompt.headers["X-Astria-Emulator-Backend"] == "mock"
    assert f"tune {made.json['id']}: branch flux1 is served by the mock backend" in caplog.text
    told = f"prompt {prompt.json['id']}: branch sdxl1 is served by the mock backend"
    assert told in caplog.text
