"""Every way in which a task ends."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from scripted import ScriptedExecutor, is_lost, succeeds

from astria_emulator.errors import Unavailable
from astria_emulator.storage.own_folders import MARKER
from astria_emulator.work import jobs
from astria_real_backend.server_side import translation
from astria_real_backend.workers.executor import Done, Event, Failed, Lost, Task
from tests import PATIENCE_SECONDS, wait_until
from tests.real_backend.backend_cases import Api, waits


# -- every way to end ------------------------------------------------------------------------------
def test_trained_tune_shows_files_report_and_calls_back_once(api: Api, receiver: Any) -> None:
    tune = api.tune(model_type="pti", callback=f"{receiver.url}/hook?id=1", auto_extend="true")
    api.finish()
    shown = api.get(f"/tunes/{tune['id']}")
    assert shown["trained_at"] == shown["eta"]
    assert (len(shown["ckpt_urls"]), shown["ckpt_urls"][0]) == (2, shown["ckpt_url"])
    assert requests.get(shown["ckpt_url"], timeout=PATIENCE_SECONDS).content.startswith(b"\xff\xd8")
    assert [path for path, _ in receiver.received] == ["/hook?id=1"]
    inside = api.inside(tune)
    assert (inside["state"], inside["backend"]) == ("trained", "real")
    assert inside["training"]["steps"] == 4


def test_nested_prompt_is_drawn_after_training_and_its_pictures_are_served(
    api: Api, receiver: Any
) -> None:
    nested = {"prompts_attributes][][text": "sks cat", "prompts_attributes][][num_images": "2"}
    tune = api.tune(**nested)
    api.finish()
    [prompt] = api.get(f"/tunes/{tune['id']}/prompts")
    assert [task.kind for task in api.executor.tasks] == ["train", "generate"]
    contents = {requests.get(url, timeout=PATIENCE_SECONDS).content for url in prompt["images"]}
    assert len(contents) == 2


def test_lost_work_is_done_again_and_told_once(make_api: Callable[..., Api], receiver: Any) -> None:
    executor = ScriptedExecutor()
    executor.plays.extend([is_lost, is_lost])
    api = make_api(executor)
    tune = api.tune(callback=receiver.url)
    api.finish()
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]
    assert len(executor.tasks) == 3
    assert len({task.folder for task in executor.tasks}) == 1  # where the checkpoint is
    assert len(receiver.received) == 1


def test_full_disk_is_waited_for_and_counts_as_no_try(
    make_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "RETRY_SECONDS", 0.0)
    executor = ScriptedExecutor()
    executor.plays.extend([lambda task: iter([Lost("The disk is full.", disk=True)])] * 4)
    api = make_api(executor, "tries=1")
    tune = api.tune()
    api.finish()
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]
    assert len(executor.tasks) == 5


def test_disk_that_takes_no_photographs_is_waited_for(
    make_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "RETRY_SECONDS", 0.0)
    errors, write = [OSError(30, "Read-only file system")] * 4, translation.write_pictures

    def write_pictures(job: Any, folder: Path) -> None:
        if errors:
            raise errors.pop()
        write(job, folder)

    monkeypatch.setattr(translation, "write_pictures", write_pictures)
    api = make_api(ScriptedExecutor(), "tries=1")
    tune = api.tune()
    api.finish()
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]


def test_work_that_is_lost_again_and_again_fails_with_the_reason(
    make_api: Callable[..., Api], receiver: Any
) -> None:
    executor = ScriptedExecutor(usual=is_lost)
    api = make_api(executor, "tries=2")
    tune = api.tune(callback=receiver.url)
    prompt = api.prompt(tune["id"])
    api.finish()
    inside = api.inside(tune)
    assert (inside["state"], len(executor.tasks)) == ("failed", 2)
    assert "SIGKILL" in inside["failure"]
    assert api.get(f"/tunes/{tune['id']}")["trained_at"] is None
    assert "could not be trained" in api.get(f"/prompts/{prompt['id']}")["user_error"]
    assert receiver.received == []
    assert not executor.tasks[0].folder.exists()


def test_restarts_are_no_tries(make_api: Callable[..., Api], tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    tune: Any = None
    for _ in range(3):
        executor = ScriptedExecutor(usual=waits)
        api = make_api(executor, "tries=2", data=data)
        tune = tune or api.tune()
        executor.wait_for("start train")
        api.close()
    last = ScriptedExecutor()
    last.plays.append(is_lost)
    api = make_api(last, "tries=2", data=data)
    last.wait_for("start train", 2)
    api.finish()
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]


def test_worker_that_works_on_when_a_report_fails_is_ended(
    make_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the next task would be told of this one."""
    executor = ScriptedExecutor()
    executor.plays.append(waits)
    api = make_api(executor)
    store = api.app.services.store
    report, calls = store.report, []

    def fails_once(job: Any, progress: Any) -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise Unavailable
        return report(job, progress)

    monkeypatch.setattr(store, "report", fails_once)
    tune = api.tune()
    api.finish()
    assert executor.calls.count("kill") == 1
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]
    assert len(executor.tasks) == 2


def test_weights_of_a_tune_that_went_meanwhile_go_too(
    make_api: Callable[..., Api], tmp_path: Path
) -> None:
    may_end = threading.Event()

    def ends_late(task: Task) -> Iterator[Event | None]:
        """It is done before it hears that it shall stop."""
        while not may_end.is_set():
            yield None
        yield from [event for event in succeeds(task) if isinstance(event, Done)]

    executor = ScriptedExecutor()
    executor.plays.append(ends_late)
    api = make_api(executor, f"folder={tmp_path / 'real'}")
    tune = api.tune()
    executor.wait_for("start train")
    assert api.call("DELETE", f"/tunes/{tune['id']}").status_code == 200
    may_end.set()
    api.finish()
    left = {path.name for path in (tmp_path / "real").rglob("*") if path.is_file()}
    assert left <= {MARKER, "speeds.json"}


def test_training_that_cannot_be_done_fails_at_once(make_api: Callable[..., Api]) -> None:
    executor = ScriptedExecutor(usual=lambda task: iter([Failed("None can be used.")]))
    api = make_api(executor)
    tune = api.tune()
    api.finish()
    assert (api.inside(tune)["failure"], len(executor.tasks)) == ("None can be used.", 1)


def test_deletion_while_it_trains_cancels_and_erases(make_api: Callable[..., Api]) -> None:
    executor = ScriptedExecutor()
    executor.plays.append(waits)
    api = make_api(executor)
    tune = api.tune()
    executor.wait_for("start train")
    assert api.call("DELETE", f"/tunes/{tune['id']}").status_code == 200
    executor.wait_for("cancel")
    executor.wait_for("release")
    api.finish()
    assert not executor.tasks[0].folder.exists()
    assert api.get("/_emulator/jobs") == []


def test_training_beyond_its_time_is_ended(make_api: Callable[..., Api]) -> None:
    executor = ScriptedExecutor(usual=waits)
    api = make_api(executor, "limit-minutes=0.0001")
    tune = api.tune()
    api.finish()
    assert "kill" in executor.calls
    assert "longer than 0.0001 minutes" in api.inside(tune)["failure"]


def test_stopped_server_goes_on_at_its_next_start(
    make_api: Callable[..., Api], tmp_path: Path, receiver: Any
) -> None:
    first = ScriptedExecutor(usual=waits)
    api = make_api(first, "tries=1", data=str(tmp_path / "data"))
    tune = api.tune(callback=receiver.url)
    first.wait_for("start train")
    api.close()
    assert "drain" in first.calls
    second = ScriptedExecutor()
    again = make_api(second, "tries=1", data=str(tmp_path / "data"))
    second.wait_for("start train")
    again.finish()
    assert second.tasks[0].folder == first.tasks[0].folder
    assert again.get(f"/tunes/{tune['id']}")["trained_at"]
    assert len(receiver.received) == 1


def test_progress_shows_in_the_table_of_jobs_and_moves_eta(make_api: Callable[..., Api]) -> None:
    executor = ScriptedExecutor(usual=waits)
    api = make_api(executor)
    tune = api.tune()
    executor.wait_for("start train")
    [progress] = wait_until(
        lambda: [job["progress"] for job in api.get("/_emulator/jobs") if job["progress"]]
    )
    assert progress["phase"] == "training"
    assert api.get(f"/tunes/{tune['id']}")["eta"] > tune["eta"]
    api.call("DELETE", f"/tunes/{tune['id']}")


def test_prompts_are_drawn_before_the_next_training_begins(make_api: Callable[..., Api]) -> None:
    may_end = threading.Event()

    def until_told(task: Task) -> Iterator[Event | None]:
        while not may_end.is_set():
            yield None
        yield from succeeds(task)

    executor = ScriptedExecutor()
    executor.plays.append(until_told)
    api = make_api(executor)
    api.tune(title="first")
    executor.wait_for("start train")
    api.tune(title="second")
    api.prompt(690204)
    store = api.app.services.store
    wanted = {"train_on_slot", "generate_on_slot"}
    wait_until(lambda: wanted <= {job.kind for job in store.jobs() if job.state == "waiting"})
    may_end.set()
    api.finish()
    assert [task.kind for task in executor.tasks] == ["train", "generate", "train"]


def test_progress_is_logged(make_api: Callable[..., Api], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    api = make_api()
    tune = api.tune()
    api.finish()
    assert f"tune {tune['id']}: training, step 1, steps 4, loss 0.5" in caplog.messages


def test_fast_tune_does_not_wait_for_one_that_trains(make_api: Callable[..., Api]) -> None:
    executor = ScriptedExecutor(usual=waits)
    api = make_api(executor)
    slow = api.tune()
    executor.wait_for("start train")
    tune = api.tune(branch="fast", model_type=None)
    assert wait_until(lambda: api.get(f"/tunes/{tune['id']}")["trained_at"])
    api.call("DELETE", f"/tunes/{slow['id']}")


def test_deleted_tune_leaves_no_weights(api: Api) -> None:
    tune = api.tune()
    api.finish()
    url = api.get(f"/tunes/{tune['id']}")["ckpt_url"]
    made = [*(api.app.services.backend._folders.folder / "made").iterdir()]
    assert len(made) == 1
    api.call("DELETE", f"/tunes/{tune['id']}")
    assert requests.get(url, timeout=PATIENCE_SECONDS).status_code == 404
    assert [*(api.app.services.backend._folders.folder / "made").iterdir()] == []


def test_done_without_files_is_a_tune_without_weights(make_api: Callable[..., Api]) -> None:
    report = {"seconds": {"training": 1.0}, "seconds_per_step": 0.1}
    executor = ScriptedExecutor(usual=lambda task: iter([Done((), report)]))
    api = make_api(executor)
    tune = api.tune()
    api.finish()
    assert api.get(f"/tunes/{tune['id']}")["ckpt_url"] is None
