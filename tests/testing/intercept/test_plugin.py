"""The fixture, as the distribution brings it."""

import subprocess
import sys
from pathlib import Path

from tests import PATIENCE_SECONDS

TESTS = """
import os

import pytest
import requests

from astria_emulator import Astria

URL, HEADERS = "https://api.astria.ai", {"Authorization": "Bearer sd_test"}
TUNE = {"tune": {"title": "J", "name": "woman", "branch": "fast", "image_urls": ["https://a.b/1"]}}


@pytest.mark.parametrize("number", range(8))
def test_state_is_fresh(astria: Astria, number):
    made = requests.post(URL + "/tunes", json=TUNE, headers=HEADERS).json()
    assert made["id"] == 5000001
    astria.finish()
    assert astria.tunes[0].trained_at


@pytest.mark.astria(keys=["sd_one"], clock="2030-01-01T00:00:00Z")
def test_marker_sets_it_up(astria: Astria):
    assert requests.get(URL + "/tunes", headers=HEADERS).status_code == 401
    assert astria.now.year == 2030


@pytest.mark.astria(keys=["sd_one"], clock="2030-01-01T00:00:00Z")
class TestMarkers:
    @pytest.mark.astria(clock="2040-01-01T00:00:00Z")
    def test_markers_count_together(self, astria: Astria):
        assert requests.get(URL + "/tunes", headers=HEADERS).status_code == 401
        assert astria.now.year == 2040


@pytest.mark.anyio
async def test_async(astria: Astria):
    import httpx

    async with httpx.AsyncClient() as client:
        assert (await client.get(URL + "/tunes", headers=HEADERS)).json() == []


@pytest.fixture
def anyio_backend():
    return "asyncio"
"""


def run(folder: Path, *flags: str) -> str:
    (folder / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--strict-markers", *flags, str(folder)],
        cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_fixture_is_there_without_being_asked_for(tmp_path):
    assert "11 passed" in run(tmp_path)


def test_fixture_is_safe_in_several_processes(tmp_path):
    assert "11 passed" in run(tmp_path, "-n", "2")


def test_plugin_imports_nothing_heavy():
    code = "import astria_emulator.testing.pytest_plugin, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"flask", "marshmallow", "yaml", "requests", "httpx", "responses", "PIL"}


def test_first_test_of_the_readme_passes(tmp_path):
    text = (Path(__file__).parents[3] / "README.md").read_text()
    code = text.partition("Put this into `test_headshots.py`")[2].partition("```python\n")[2]
    (tmp_path / "test_headshots.py").write_text(code.partition("```")[0])
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
