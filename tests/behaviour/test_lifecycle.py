"""States over time: waiting, in flight, failed, expired, extended."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from astria_emulator import BackendError
from astria_emulator.mock.backend import MockBackend

REASON = "The pictures show nobody."
DAY = timedelta(days=1)


class Mock(MockBackend):
    def __init__(self, config):
        super().__init__(train_seconds=1, prompt_seconds=1)


class FailsToTrain(Mock):
    def train(self, job, report):
        raise BackendError(REASON)


class FailsToGenerate(Mock):
    def generate(self, jobs, report):
        raise BackendError(REASON)


class Breaks(Mock):
    def train(self, job, report):
        raise ZeroDivisionError("secret detail")

    def generate(self, jobs, report):
        raise ZeroDivisionError("secret detail")


@pytest.fixture
def on(make_api):
    """An `Api` on an application with this backend."""
    return lambda backend: make_api(backend=f"{__name__}:{backend.__name__}", keys=("sd_test",))


def advance(api, **span):
    answer = api.client.post("/_emulator/clock", json=span)
    assert answer.status_code == 200, answer.text
    return answer.json["now"]


def moment(text):
    return datetime.fromisoformat(text)


# -- time ------------------------------------------------------------------------------------------
def test_tune_is_trained_when_its_time_has_passed_and_not_before(slow):
    id = slow.tune()["id"]
    advance(slow, seconds=58)
    assert slow.get(f"/tunes/{id}")["trained_at"] is None
    done = slow.get(f"/tunes/{id}")
    assert done["trained_at"] == done["eta"] == "2026-01-01T00:01:00.000Z"


def test_prompt_goes_through_queued_generating_and_finished(slow):
    prompt = slow.prompt(690204, num_images=1)
    assert prompt["started_training_at"] is None
    flight = slow.get(f"/prompts/{prompt['id']}")
    assert flight["started_training_at"] == prompt["created_at"]
    assert (flight["trained_at"], flight["images"]) == (None, [])
    assert flight["progress_timing_seconds"] == 60
    assert flight["progress_elapsed_seconds"] == 1
    assert slow.get(f"/prompts/{prompt['id']}")["progress_elapsed_seconds"] == 2
    [listed] = slow.get("/prompts")
    assert listed["progress_elapsed_seconds"] == 3
    advance(slow, seconds=60)
    done = slow.get(f"/prompts/{prompt['id']}")
    assert done["trained_at"] == done["updated_at"] == "2026-01-01T00:01:00.000Z"
    assert len(done["images"]) == 1
    assert not {"progress_timing_seconds", "progress_elapsed_seconds"} & set(done)


@pytest.mark.parametrize("place", ["nested", "under it", "on the base"])
def test_prompt_waits_for_its_tune(slow, place):
    nested = [{"text": "a"}] if place == "nested" else []
    tune = slow.tune(branch="flux1", prompts_attributes=nested)
    if place == "under it":
        slow.prompt(tune["id"], "a")
    elif place == "on the base":
        slow.prompt(1504944, f"<lora:{tune['id']}:1> a")
    advance(slow, seconds=50)
    [waiting] = slow.get(f"/tunes/{tune['id']}/prompts")
    assert (waiting["started_training_at"], waiting["images"]) == (None, [])
    slow.finish()
    trained = slow.get(f"/tunes/{tune['id']}")["trained_at"]
    [done] = slow.get(f"/tunes/{tune['id']}/prompts")
    assert done["started_training_at"] == trained
    assert moment(done["trained_at"]) - moment(trained) == timedelta(seconds=60)
    assert len(done["images"]) == 4


def test_prompt_waits_for_the_last_of_several_tunes(slow):
    first = slow.tune(branch="flux1")
    advance(slow, seconds=30)
    last = slow.tune(branch="flux1")
    prompt = slow.prompt(1504944, f"<lora:{first['id']}:1> <lora:{last['id']}:1> a")
    advance(slow, seconds=40)
    assert slow.get(f"/tunes/{first['id']}")["trained_at"]
    assert slow.get(f"/prompts/{prompt['id']}")["started_training_at"] is None
    slow.finish()
    trained = slow.get(f"/tunes/{last['id']}")["trained_at"]
    assert slow.get(f"/prompts/{prompt['id']}")["started_training_at"] == trained


def test_prompt_on_a_trained_tune_starts_at_once(slow):
    prompt = slow.prompt(690204)
    slow.finish()
    done = slow.get(f"/prompts/{prompt['id']}")
    assert done["started_training_at"] == prompt["created_at"]


def test_virtual_clock_moves_one_second_with_each_answer(api):
    made = [moment(api.prompt(690204)["created_at"]) for _ in range(4)]
    assert [late - early for early, late in pairwise(made)] == [timedelta(seconds=1)] * 3


# -- failure ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("backend", [FailsToTrain, Breaks])
def test_failed_tune_looks_untrained(on, receiver, backend):
    api = on(backend)
    tune = api.tune(branch="flux1", callback=f"{receiver.url}/tune")
    api.finish()
    failed = api.get(f"/tunes/{tune['id']}")
    assert failed["trained_at"] is None
    assert failed["expires_at"] is None
    assert failed["ckpt_url"] is None
    assert set(failed) == set(tune)
    assert receiver.received == []


@pytest.mark.parametrize("backend", [FailsToTrain, Breaks])
def test_prompts_that_wait_for_a_failed_tune_end_with_an_error(on, receiver, backend):
    api = on(backend)
    callback = f"{receiver.url}/prompt"
    tune = api.tune(branch="flux1", prompts_attributes=[{"text": "a", "callback": callback}])
    api.prompt(1504944, f"<lora:{tune['id']}:1> b", callback=callback)
    api.finish()
    ended = api.get(f"/tunes/{tune['id']}/prompts")
    assert len(ended) == 2
    for prompt in ended:
        assert prompt["trained_at"]
        assert prompt["images"] == []
        assert isinstance(prompt["user_error"], str)
        assert prompt["user_error"]
        assert "secret" not in prompt["user_error"]
    bodies = [body["prompt"] for _, body in receiver.received]
    assert sorted(body["id"] for body in bodies) == sorted(prompt["id"] for prompt in ended)
    assert all(body["images"] == [] and body["trained_at"] for body in bodies)


def test_prompt_for_a_tune_that_has_failed_before_ends_with_an_error(on):
    api = on(FailsToTrain)
    tune = api.tune(branch="flux1")
    api.finish()
    prompt = api.prompt(tune["id"], "a")
    api.finish()
    ended = api.get(f"/prompts/{prompt['id']}")
    assert ended["trained_at"]
    assert (ended["images"], bool(ended["user_error"])) == ([], True)


def test_failed_tune_is_no_base(on):
    api = on(FailsToTrain)
    failed = api.tune(branch="sd15")
    api.finish()
    body = {"title": "t", "name": "man", "image_urls": ["https://example.com/1.jpg"]}
    answer = api.call("POST", "/tunes", json={"tune": {**body, "base_tune_id": failed["id"]}})
    assert (answer.status_code, answer.json) == (422, {"base_tune_id": ["must exist"]})


def test_failed_prompt_shows_the_backends_sentence(on, receiver):
    api = on(FailsToGenerate)
    prompt = api.prompt(690204, callback=f"{receiver.url}/prompt?x=1")
    api.finish()
    ended = api.get(f"/prompts/{prompt['id']}")
    assert ended["user_error"] == REASON
    assert ended["trained_at"] == ended["updated_at"]
    assert ended["images"] == []
    [(path, body)] = receiver.received
    assert (path, body["prompt"]["images"]) == ("/prompt?x=1", [])


def test_unexpected_failure_shows_no_detail(on):
    api = on(Breaks)
    prompt = api.prompt(690204)
    api.finish()
    error = api.get(f"/prompts/{prompt['id']}")["user_error"]
    assert error
    assert "secret" not in error
    assert "Zero" not in error


def test_fast_tune_is_served_by_the_mock_whatever_the_backend(on):
    api = on(FailsToTrain)
    tune = api.tune(branch="fast", prompts_attributes=[{"text": "a", "num_images": 1}])
    api.finish()
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]
    assert len(api.get("/prompts")[0]["images"]) == 1


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
