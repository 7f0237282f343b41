"""States over time: waiting, in flight, failed, expired, extended."""

from datetime import timedelta
from itertools import pairwise

import pytest

from astria_emulator import BackendError
from astria_emulator.mock.backend import MockBackend
from tests.behaviour.lifecycle_cases import advance, moment

REASON = "The pictures show nobody."


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
