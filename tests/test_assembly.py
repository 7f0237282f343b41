"""What `--backend` may name: the mock, an entry point, or MODULE:CLASS."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from astria_emulator.assembly import load_backend
from astria_emulator.config import Config
from astria_emulator.errors import SetupError
from astria_emulator.mock.backend import MockBackend

MOCK = MockBackend(train_seconds=0, prompt_seconds=0)


class Own:
    """As much of a backend as is looked at when one is loaded."""

    pretends, slots, tries = True, 0, 1

    def __init__(self, config: Config): ...


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ModuleType("own_backends")
    vars(made).update(Own=Own, within=SimpleNamespace(Own=Own), seven=7)
    monkeypatch.setitem(sys.modules, made.__name__, made)


def config(backend: str) -> Config:
    return replace(Config(), backend=backend, keys=("sd_test",))


@pytest.mark.parametrize("data", ["", "folder"])
def test_real_time_is_the_stores(data: str, make_app: Any, tmp_path: Path) -> None:
    services = make_app(clock="", data=data and str(tmp_path / data)).services
    assert services.clock is services.store.clock


def test_mock_is_the_one_that_is_there() -> None:
    assert load_backend(Config(), MOCK) is MOCK


@pytest.mark.parametrize("name", ["own_backends:Own", "own_backends:within.Own"])
def test_class_is_found_by_its_module(name: str) -> None:
    assert isinstance(load_backend(config(name), MOCK), Own)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent", "No module named 'absent'"),
        ("absent:Own", "No module named 'absent'"),
        ("own_backends", "'module' object is not callable"),
        ("own_backends:", "'module' object is not callable"),
        ("own_backends:Other", "has no attribute 'Other'"),
        ("own_backends.Own", "No module named 'own_backends.Own'"),
        ("own_backends:seven", "'int' object is not callable"),
        ("own backends:Own", "invalid format"),
        (":Own", "invalid format"),
        ("", "invalid format"),
    ],
)
def test_name_that_leads_to_no_backend_is_refused_with_what_would_do(
    name: str, reason: str
) -> None:
    with pytest.raises(SetupError) as refused:
        load_backend(config(name), MOCK)
    [problem] = refused.value.problems
    assert problem.startswith(f"{name!r}: ")
    assert reason in problem
    assert "expected one of mock" in problem
    assert problem.endswith("or MODULE:CLASS")
