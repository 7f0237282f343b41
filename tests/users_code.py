"""What users of the wheel write: tests, and code that mypy checks."""

USERS_TESTS = """
import importlib

import pytest
import requests

URL, HEADERS = "https://api.astria.ai", {"Authorization": "Bearer sd_test"}
TUNE = {"title": "Jane", "name": "woman", "branch": "fast", "image_urls": ["https://app.example/1.jpg"]}


@pytest.mark.parametrize("name", ["contracts", "emulator", "real_backend", "tests"])
def test_own_package_is_the_users(name):
    assert importlib.import_module(name).WHOSE == f"the {name} of the user"


def test_tune_is_trained(astria):
    requests.post(f"{URL}/tunes", headers=HEADERS, json={"tune": TUNE}).raise_for_status()
    astria.finish()
    assert astria.tunes[0].state == "trained"
"""

USERS_TYPES = """
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from astria_emulator import (
    Artefact, Astria, Backend, Config, GenerateJob, Trained, TrainJob, mock_astria,
)


@mock_astria
def test_function(astria: Astria) -> None:
    astria.finish()
    state: str = astria.tunes[0].state
    urls: list[str] = [callback.url for callback in astria.callbacks]
    assert state and urls


@mock_astria(seed=7, other_hosts="refuse")
async def test_coroutine(astria: Astria) -> None:
    astria.advance(days=31)


@mock_astria
class TestTunes:
    def test_method(self, astria: Astria) -> None:
        astria.reset()


def test_context() -> None:
    with mock_astria(scenario="bad-day") as astria:
        images: list[str] = list(astria.prompts[0].images)
    assert images


@pytest.mark.astria(idempotency=True)
def test_fixture(astria: Astria) -> None:
    astria.deliver_to("http://localhost:3000")


class MyBackend:
    name = "mine"
    slots = 1
    tries = 3
    pretends = False

    def __init__(self, config: Config) -> None: ...
    def start(self) -> None: ...
    def close(self) -> None: ...
    def serves(self, branch: str) -> bool:
        return branch == "sd15"

    def refusal(self, branch: str, base_tune_id: int) -> str | None:
        return None

    def side(self, base_tune_id: int) -> int | None:
        return None

    def forget(self, tune_id: int | None) -> None: ...
    def train_seconds(self, attributes: Mapping[str, Any]) -> float:
        return 60.0

    def prompt_seconds(self, attributes: Mapping[str, Any]) -> float:
        return 1.0

    def train(self, job: TrainJob, report: Callable[[Mapping[str, Any]], bool]) -> Trained:
        return Trained(files=[Artefact("application/octet-stream", b"weights")], report={})

    def generate(
        self, jobs: Sequence[GenerateJob], report: Callable[[Mapping[str, Any]], bool]
    ) -> list[list[Artefact]]:
        return [[Artefact("image/jpeg", b"") for _ in range(job.num_images)] for job in jobs]

    def inspect(self, image: bytes | str, name: str) -> Mapping[str, Any]:
        return {"name": name}


backend: Backend = MyBackend(Config())
"""
