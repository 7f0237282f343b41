"""A library that is imported within a mock is led to the emulator as one that was there before."""

import subprocess
import sys

import pytest

from tests import PATIENCE_SECONDS

CODE = """
import sys, warnings
warnings.simplefilter("error")
from astria_emulator import mock_astria
from astria_emulator.testing.intercept.import_hook import Watcher

HEADERS, URL = {"Authorization": "Bearer sd_test"}, "https://api.astria.ai/tunes"
for at in range(2):  # the second time it is there before
    with mock_astria(other_hosts="refuse") as astria:
        there = {"requests", "httpx", "httpx2", "aiohttp"} & sys.modules.keys()
        assert there == ({"LIBRARY"} if at else set()), there
        import LIBRARY
        ASK
        assert len(astria.requests) == 1
assert not any(isinstance(finder, Watcher) for finder in sys.meta_path)
for holder in (LIBRARY, LIBRARY.__spec__):
    loader = getattr(holder, "__loader__", None) or holder.loader
    assert type(loader).__name__ == "SourceFileLoader", loader
"""
AIOHTTP = """
        import asyncio
        async def ask():
            async with aiohttp.ClientSession(headers=HEADERS) as session:
                async with session.get(URL) as answer:
                    assert await answer.json() == []
        asyncio.run(ask())
"""


@pytest.mark.parametrize(
    ("library", "ask"),
    [
        ("requests", "assert requests.get(URL, headers=HEADERS).json() == []"),
        ("httpx", "assert httpx.get(URL, headers=HEADERS).json() == []"),
        ("aiohttp", AIOHTTP.strip()),
    ],
)
def test_library_that_is_imported_within_a_mock_is_intercepted(library, ask):
    code = CODE.replace("ASK", ask).replace("LIBRARY", library)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, done.stderr


def test_what_is_not_used_is_not_imported():
    entered = "with mock_astria(): import sys; print(*sys.modules)"
    code = f"from astria_emulator import mock_astria\n{entered}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    libraries = {"requests", "responses", "httpx", "respx", "httpx2", "aiohttp", "pytest", "PIL"}
    assert set(done.stdout.split()) & libraries == set()
