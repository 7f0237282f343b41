"""Processes that train: kept, cancelled, killed, replaced, and gone with their parent."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from training import config_of, pictures_of

from astria_emulator import claim
from astria_real_backend.config import NAMES, BaseFiles, SampleConfig, as_plain
from astria_real_backend.training import checkpoint
from astria_real_backend.workers.child import Channel
from astria_real_backend.workers.executor import Done, Event, Failed, Lost, Progress, Task
from astria_real_backend.workers.executor import Stopped as WasStopped
from astria_real_backend.workers.local import Child, LocalExecutor
from tests import wait_until


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    made = LocalExecutor(("cpu",), threads=1)
    yield made
    made.drain()


@pytest.fixture
def child(executor: LocalExecutor) -> Iterator[Child]:
    worker = executor.claim()
    assert isinstance(worker, Child)
    yield worker
    if worker.is_busy:  # what a test has left is nobody's
        worker.kill()
    executor.release(worker)


@pytest.fixture
def task(toy: BaseFiles, tmp_path: Path) -> Callable[..., Task]:
    """A training of a LoRA in a folder of its own."""

    def make(
        name: str = "a", *, pictures: Mapping[str, bytes] | None = None, **changes: Any
    ) -> Task:
        places = [tmp_path / name / place for place in ("room", "pictures", "classes")]
        for place in places:
            place.mkdir(parents=True)
        claim(tmp_path, "", is_ours=lambda path: True)
        laid_out = pictures or {one.name: one.data for one in pictures_of("purple")}
        for at, data in enumerate(laid_out.values()):
            (places[1] / str(at)).write_bytes(data)
        (places[1] / NAMES).write_text(json.dumps([*laid_out]))
        config = config_of(toy, "lora", **{"steps": 2, **changes})
        return Task(
            kind="train", config=as_plain(config), folder=places[0], pictures=places[1],
            classes=places[2],
        )  # fmt: skip

    return make


def end_of(child: Child, when: Callable[[Mapping[str, Any]], Any] = lambda values: None) -> Event:
    """What ends a task; `when` sees each progress."""

    def poll() -> Event | None:
        event = child.poll(1.0)
        if isinstance(event, Progress):
            when(event.values)
            return None
        return event

    ended: Event = wait_until(poll)
    return ended


def in_step(step: int, act: Callable[[], Any]) -> Callable[[Mapping[str, Any]], None]:
    """Act once, in training, from a step on."""
    done: list[int] = []

    def see(values: Mapping[str, Any]) -> None:
        if values["phase"] == "training" and values["step"] >= step and not done:
            done.append(1)
            act()

    return see


def test_child_keeps_its_base_between_tasks(child: Child, task: Callable[..., Task]) -> None:
    phases: list[str] = []
    child.start(task("a"))
    first = end_of(child, lambda values: phases.append(values["phase"]))
    pid = child.pid
    child.start(task("b"))
    second = end_of(child)
    assert isinstance(first, Done)
    assert isinstance(second, Done)
    assert (child.pid, first.report["steps"]) == (pid, 2)
    assert [*dict.fromkeys(phases)] == ["pictures", "loading", "training", "saving"]
    assert all(image["used"] for image in first.report["images"])


def test_child_draws_what_was_trained(
    child: Child, task: Callable[..., Task], toy: BaseFiles, tmp_path: Path
) -> None:
    asked = SampleConfig(
        base=toy, prompt="photo of a cat", seed=3, pictures=2, width=64, height=48, steps=2,
        guidance_scale=5.0, scheduler="euler_a",
    )  # fmt: skip
    (tmp_path / "p").mkdir()
    room = tmp_path / "p"
    child.start(
        Task(kind="generate", config=as_plain(asked), folder=room, pictures=room, classes=room)
    )
    done = end_of(child)
    assert isinstance(done, Done)
    assert [file.read_bytes()[:3] for file in done.files] == [b"\xff\xd8\xff"] * 2


def test_pictures_that_cannot_be_used_are_told_by_name(
    child: Child, task: Callable[..., Task]
) -> None:
    child.start(task(pictures={"cat.jpg": b"no picture"}))
    failed = end_of(child)
    assert isinstance(failed, Failed)
    assert failed.reason.startswith("None of the 1 pictures can be used (picture 1: ")


def test_cancelled_training_stops_and_keeps_its_checkpoint(
    child: Child, task: Callable[..., Task]
) -> None:
    asked = task(steps=1000, checkpoint_every=1)
    child.start(asked)
    assert isinstance(end_of(child, in_step(3, child.cancel)), WasStopped)
    assert (asked.folder / checkpoint.NAME).exists()
    child.start(task("b"))  # and it can work on
    assert isinstance(end_of(child), Done)


def test_killed_child_is_replaced_and_the_next_try_equals_a_straight_one(
    child: Child, task: Callable[..., Task]
) -> None:
    straight = task("straight", steps=24, checkpoint_every=2)
    child.start(straight)
    done = end_of(child)
    assert isinstance(done, Done)
    broken = task("broken", steps=24, checkpoint_every=2)
    child.start(broken)
    assert child.pid
    pid = child.pid
    lost = end_of(child, in_step(4, lambda: os.kill(pid, signal.SIGKILL)))
    assert isinstance(lost, Lost)
    assert "SIGKILL" in lost.reason
    child.start(broken)
    again = end_of(child)
    assert isinstance(again, Done)
    assert child.pid != pid
    assert again.report["resumed_at"] >= 2
    first, second = (load_file(event.files[0]) for event in (done, again))
    assert all(first[name].equal(second[name]) for name in first)


def test_child_that_does_not_stop_when_asked_is_ended(
    monkeypatch: pytest.MonkeyPatch, child: Child, task: Callable[..., Task]
) -> None:
    monkeypatch.setattr("astria_real_backend.workers.local.GRACE_SECONDS", -1.0)
    child.start(task("a", steps=1000))
    pid = child.pid

    def stop_it() -> None:
        os.kill(pid or 0, signal.SIGSTOP)  # it hears nothing any more
        child.cancel()

    assert isinstance(end_of(child, in_step(1, stop_it)), Lost)
    child.start(task("b"))
    assert isinstance(end_of(child), Done)


@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "left"])
def test_task_after_one_that_nobody_waits_for_gets_its_own_answers(
    child: Child, task: Callable[..., Task], is_killed: bool
) -> None:
    child.start(task("a", steps=1000))
    pid = child.pid
    wait_until(lambda: isinstance(child.poll(1.0), Progress))
    if is_killed:
        child.kill()
    child.start(task("b", steps=1))
    done = end_of(child)
    assert isinstance(done, Done)
    assert (done.report["steps"], child.pid != pid) == (1, True)


def test_lines_of_another_task_are_passed_over(child: Child, task: Callable[..., Task]) -> None:
    child.start(task(steps=1))
    child._lines.put('{"task": 0, "stopped": true}\n')
    assert isinstance(end_of(child), Done)


def test_late_cancellation_does_not_stop_the_next_task() -> None:
    channel = Channel(StringIO())
    channel.begin(1)
    channel.cancel(1)
    assert not channel.report({"phase": "training"})
    channel.begin(2)
    channel.cancel(1)
    assert channel.report({"phase": "training"})


def test_child_goes_with_its_parent(tmp_path: Path) -> None:
    """Even when that is killed: nothing holds a GPU for nobody."""
    script = textwrap.dedent("""
        import os, sys
        from astria_real_backend.workers.local import LocalExecutor
        executor = LocalExecutor(("cpu",), threads=1)
        executor.warm()
        print(executor.claim().pid, flush=True)
        os.kill(os.getpid(), 9)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    pid = int(done.stdout)

    def has_ended() -> bool:
        try:
            os.kill(pid, 0)
            return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
        except (ProcessLookupError, FileNotFoundError):
            return True

    wait_until(has_ended)


def test_server_side_loads_no_torch() -> None:
    script = textwrap.dedent("""
        import sys
        from astria_emulator import Config, create_app
        options = ("toy=true", "devices=cpu")
        app = create_app(Config(backend="real", backend_options=options, keys=("sd_a",)))
        app.close()
        print(*sys.modules)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "astria_real_backend" in loaded
    heavy = {"torch", "diffusers", "transformers", "peft", "numpy", "skimage", "huggingface_hub"}
    assert loaded & heavy == set()
