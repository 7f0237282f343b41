"""The result of real work is kept until the disk and the database take it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from astria_emulator.backend import Artefact, Trained
from astria_emulator.errors import DiskUnavailable, Unavailable
from astria_emulator.services import Services
from astria_emulator.storage.own_folders import claim
from astria_emulator.storage.store import TRAINING, WORK
from astria_emulator.work import job_steps
from tests.conftest import Api

FULL = 3  # times


@pytest.fixture
def tune(api: Api) -> int:
    """A tune that waits."""
    id: int = api.tune()["id"]
    return id


@pytest.fixture
def services(api: Api, tune: int, monkeypatch: pytest.MonkeyPatch) -> Services:
    """Of a server whose backend does real work from now on."""
    monkeypatch.setattr(job_steps, "RETRY_SECONDS", 0.0)
    services: Services = api.client.application.services  # type: ignore[attr-defined]
    monkeypatch.setattr(services.mock, "pretends", False)
    return services


@pytest.fixture
def trained(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files of each training, as a backend leaves them in a folder of ours."""
    claim(tmp_path, "")
    made: list[Path] = []

    def train(job: Any, report: Any) -> Trained:
        made.append(tmp_path / str(len(made)))
        made[-1].write_bytes(b"weights")
        return Trained([Artefact("application/octet-stream", made[-1])])

    monkeypatch.setattr(services.mock, "train", train)
    return made


def fails(function: Callable[..., Any], error: Exception, times: int) -> Callable[..., Any]:
    """The function, which raises an error the first times."""
    left = [error] * times

    def call(*args: Any, **more: Any) -> Any:
        if left:
            raise left.pop()
        return function(*args, **more)

    return call


def test_tune_is_trained_once_and_stored_when_there_is_room(
    api: Api, tune: int, services: Services, trained: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.files, "put", fails(services.files.put, Unavailable(), FULL))
    api.finish()
    found = api.get(f"/tunes/{tune}")
    assert len(trained) == 1
    assert found["trained_at"]
    key = found["ckpt_url"].rpartition("/")[2]
    assert services.files.get(key).content == b"weights"  # type: ignore[union-attr]


def test_pictures_are_made_once_and_stored_when_there_is_room(
    api: Api, tune: int, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.finish()
    calls: list[int] = []
    generate = services.mock.generate

    def counted(jobs: Any, report: Any) -> Any:
        calls.append(len(jobs))
        return generate(jobs, report)

    monkeypatch.setattr(services.mock, "generate", counted)
    monkeypatch.setattr(services.files, "put", fails(services.files.put, Unavailable(), FULL))
    prompt = api.prompt(tune)
    services.runner.finish()
    assert calls == [1]
    assert len(services.store.get("prompt", prompt["id"])["image_keys"]) == prompt["num_images"]  # type: ignore[index]


def test_server_that_stops_meanwhile_leaves_the_work_for_the_next_one(
    api: Api, tune: int, services: Services, trained: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.files, "put", fails(services.files.put, Unavailable(), 1))
    services.stopping.set()
    start = services.store.claim_job([WORK], None)
    assert start
    services.runner._run(start, start.due)  # type: ignore[attr-defined]
    training = services.store.claim_job([TRAINING], None)
    assert training
    services.runner._run(training, training.due)  # type: ignore[attr-defined]
    assert [path.exists() for path in trained] == [False]
    [left] = services.store.jobs()
    assert (left.state, left.progress) == ("waiting", {})
    assert services.store.get("tune", tune)["state"] == "training"  # type: ignore[index]


def test_full_disk_is_waited_for_however_often(
    api: Api, tune: int, services: Services, trained: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = fails(services.mock.train, DiskUnavailable("The disk is full."), FULL)
    monkeypatch.setattr(services.mock, "train", train)
    assert services.mock.tries < FULL
    api.finish()
    assert api.get(f"/tunes/{tune}")["trained_at"]
    assert len(trained) == 1


def test_backend_forgets_a_tune_once_it_is_stored(
    api: Api, tune: int, services: Services, trained: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[tuple[int | None, bool]] = []

    def forget(tune_id: int | None) -> None:
        row = services.store.get("tune", tune_id or 0)
        forgotten.append((tune_id, bool(row and row["trained_at"])))

    monkeypatch.setattr(services.backend, "forget", forget)
    api.finish()
    assert forgotten == [(tune, True)]
