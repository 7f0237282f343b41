"""Fixtures of the tests in this folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from astria_emulator.app import Emulator
from tests.conftest import Api
from tests.control.seed_files import WRITTEN


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Any], str]:
    """Writes a document, or text, and returns the file's path."""

    def written(document: Any, name: str = "seed.yaml") -> str:
        path = tmp_path / name
        text = document if isinstance(document, str) else json.dumps(document, indent="\t")
        path.write_text(text)
        return str(path)

    return written


@pytest.fixture
def seeded(
    make_app: Callable[..., Emulator], write: Any, receiver: Any
) -> Callable[..., tuple[Api, Api]]:
    """The two accounts of an application that begins with what is written above."""

    def make(**settings: Any) -> tuple[Api, Api]:
        client = make_app(
            seed_data=write(WRITTEN.format(url=receiver.url)), **settings
        ).test_client()
        return Api(client, "sd_local"), Api(client, "sd_other")

    return make
