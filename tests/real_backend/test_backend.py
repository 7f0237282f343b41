"""RealBackend between the API and an executor: requests in, tasks out, and every way to end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from astria_emulator import Config
from tests.real_backend.backend_cases import Api, png


# -- what it serves --------------------------------------------------------------------------------
def test_fast_and_branches_that_cannot_be_trained_here_stay_with_the_mock(api: Api) -> None:
    can = api.get("/_emulator/info")["capabilities"]
    expected = {"flux1": "mock", "sd15": "real", "sdxl1": "mock", "fast": "mock"}
    assert (can["backends"], can["real_training"]) == (expected, True)
    tune = api.tune(branch="fast", model_type=None)
    api.finish()
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]
    assert api.executor.tasks == []


def test_a_virtual_clock_is_refused(make_api: Callable[..., Api]) -> None:
    with pytest.raises(Exception, match="training takes real time"):
        make_api(clock="2026-01-01T00:00:00Z")


def test_keys_are_required() -> None:
    with pytest.raises(Exception, match="needs --keys"):
        Config(backend="real")


def test_unknown_options_are_told_all_at_once(make_api: Callable[..., Api]) -> None:
    with pytest.raises(Exception, match="expected NAME=VALUE") as raised:
        make_api(None, "colour=red", "tries=many", "devices=gpu")
    for text in ("'colour=red'", "tries 'many': expected int", "devices 'gpu'"):
        assert text in str(raised.value)


@pytest.mark.parametrize("missing", ["folder", "unknown"])
def test_absent_base_is_refused_as_tune_and_prompt_are_made(
    make_api: Callable[..., Api], tmp_path: Path, missing: str
) -> None:
    api = make_api()
    if missing == "folder":
        (tmp_path / "model" / "model_index.json").unlink()
    base = 690204 if missing == "folder" else 3618064  # a gallery tune of another family
    given = {"title": "a", "name": "cat", "branch": "sd15", "base_tune_id": base}
    answer = api.call(
        "POST", "/tunes", data={f"tune[{name}]": value for name, value in given.items()},
        files=[("tune[images][]", ("a.png", png()))],
    )  # fmt: skip
    assert (answer.status_code, answer.json()) == (422, {"base_tune_id": ["must exist"]})
    assert api.executor.tasks == []


def test_prompt_on_an_absent_base_is_refused(make_api: Callable[..., Api], tmp_path: Path) -> None:
    api = make_api()
    (tmp_path / "model" / "model_index.json").unlink()
    answer = api.call("POST", "/tunes/690204/prompts", json={"prompt": {"text": "a cat"}})
    assert (answer.status_code, answer.json()) == (422, {"tune": ["must exist"]})
