"""Without torch only what needs none is tested here."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything is imported that looks

if find_spec("torch"):
    from training import branch, loaded, quiet, run, toy, trained

    __all__ = ["branch", "loaded", "quiet", "run", "toy", "trained"]
else:
    light = ("backend", "catalog", "folders", "imports")
    names = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    collect_ignore = sorted(names - {f"test_{name}.py" for name in light})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What packages warn of, and we cannot change."""
    for item in items:
        if "/real_backend/" in str(item.path):
            for text in (
                "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning",
                "ignore:`torch.jit:DeprecationWarning",
            ):
                item.add_marker(pytest.mark.filterwarnings(text))
