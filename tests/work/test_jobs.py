"""Jobs against what may happen while they wait or work: deletion, reset, other threads."""

import sys
import threading
from collections.abc import Iterator

import pytest

from astria_emulator.backend import Artefact, Trained
from astria_emulator.errors import Unavailable
from astria_emulator.storage.store import Query
from astria_emulator.work.jobs import run
from tests import PATIENCE_SECONDS


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns so often that a race is met within a second."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_job_of_before_a_reset_does_nothing_to_the_object_that_has_its_id_now(make_api) -> None:
    api = make_api(train_seconds=100)
    services = api.client.application.services
    tune = api.tune()
    services.runner.settle()
    job = services.store.claim_job(["work"], None)
    assert (job.kind, job.target) == ("train_tune", tune["id"])
    api.client.post("/_emulator/reset")
    assert api.tune()["id"] == tune["id"]
    run(services, job, job.due)
    assert services.store.get("tune", tune["id"])["state"] == "queued"


def test_backend_that_ends_after_the_tune_was_deleted_leaves_nothing(make_api) -> None:
    api = make_api()
    services = api.client.application.services
    tune = api.tune()

    def train(job, report):
        assert api.call("DELETE", f"/tunes/{tune['id']}").status_code == 200
        return Trained([Artefact("application/octet-stream", b"weights")])

    services.mock.train = train
    api.finish()
    assert services.store.jobs() == []
    assert b"weights" not in [file.data for file in services.files._files.values()]


def test_work_that_the_database_kept_from_ending_is_done_again(make_api, monkeypatch) -> None:
    api = make_api()
    services = api.client.application.services
    tune = api.tune()
    train, trained = services.mock.train, []

    def interrupted(job, report):
        trained.append(job.tune_id)
        if len(trained) == 1:
            raise Unavailable
        return train(job, report)

    monkeypatch.setattr(services.mock, "train", interrupted)
    api.finish()
    assert trained == [tune["id"]] * 2
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]


def test_prompts_call_waits_for_its_tunes_call_when_that_is_late(make_api, receiver) -> None:
    """The tune's call is open as soon as its transaction ends: prompts may finish at once."""
    api = make_api(train_seconds=0, prompt_seconds=0)
    services = api.client.application.services
    callbacks = services.callbacks
    submit = callbacks._outbox.submit
    late: list = []
    callbacks._outbox.submit = late.append
    nested = [{"text": "ohwx woman", "callback": f"{receiver.url}/prompt"}]
    api.tune(callback=f"{receiver.url}/tune", prompts_attributes=nested)
    services.runner.finish()
    assert receiver.received == []
    callbacks._outbox.submit = submit
    for call in late:
        submit(call)
    assert callbacks.wait(PATIENCE_SECONDS)
    assert [path for path, _ in receiver.received] == ["/tune", "/prompt"]


def test_row_is_found_at_every_moment_while_its_title_changes(make_api, quick_switches) -> None:
    api = make_api(clock="")
    services = api.client.application.services
    tune = api.tune()
    row = services.store.get("tune", tune["id"])
    missing, stop = [], threading.Event()

    def look() -> None:
        while not stop.is_set():
            if services.store.get("tune", row.id) is None:
                missing.append(row.id)

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1500):
        services.store.update(row, {"title": str(number)}, refs=(f"title:{number}",))
    stop.set()
    for reader in readers:
        reader.join()
    assert missing == []


def test_finish_returns_when_all_work_is_done_also_what_other_threads_do(
    make_app, quick_switches
) -> None:
    app = make_app(clock="", train_seconds=0, prompt_seconds=0)
    services = app.services
    unfinished = []
    for number in range(40):
        body = {"title": str(number), "name": "cat", "branch": "fast"}
        body |= {"image_urls": ["http://x/1"], "prompts_attributes": [{"text": "a"}]}
        client, headers = app.test_client(), {"Authorization": "Bearer sd_a"}
        made = client.post("/tunes", json={"tune": body}, headers=headers, buffered=True).json
        services.runner.finish()
        prompts = services.store.find("prompt", Query(1, ref=made["id"]))
        unfinished += [row.id for row in prompts if row["trained_at"] is None]
    assert unfinished == []
