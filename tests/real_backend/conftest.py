"""Without torch only what needs none is tested here."""

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from scripted import CURRENT, ScriptedExecutor, fake_model

from astria_emulator import Config, create_app
from astria_real_backend.server_side.catalog import Catalogue
from tests.real_backend.backend_cases import KEY, Api
from tests.real_backend.hub_downloads import Hub
from tests.real_backend.model_folders import Write

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything is imported that looks

if find_spec("torch"):
    from training import branch, loaded, quiet, run, toy, trained

    __all__ = ["branch", "loaded", "quiet", "run", "toy", "trained"]
else:
    light = [
        "backend",
        "backend_ends",
        "backend_tasks",
        "catalog",
        "folders",
        "hub",
        "imports",
        "models_command",
    ]
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


@pytest.fixture
def make_api(serve: Callable[..., str], tmp_path: Path) -> Iterator[Callable[..., Api]]:
    """Serves with a scripted executor; `options` are the backend's."""
    made = []

    def make(executor: ScriptedExecutor | None = None, *options: str, **settings: Any) -> Api:
        model = tmp_path / "model"
        if not model.exists():
            fake_model(model)
        models = tmp_path / "models.toml"
        models.write_text(
            f'[[base]]\ntune_id = 690204\nsource = "{model}"\npreset = "toy"\nside = 64\n'
        )
        CURRENT.append(executor or ScriptedExecutor())
        given = {"backend": "scripted:make", "keys": (KEY,), "train_seconds": 0, **settings}
        backend_options = (f"models={models}", "devices=cpu", *options)
        app = create_app(Config(backend_options=backend_options, **given))
        made.append(Api(serve(app), app, CURRENT[-1]))
        return made[-1]

    yield make
    for api in made:
        api.close()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue.read(cache=tmp_path / "hub")


@pytest.fixture
def toml(tmp_path: Path) -> Write:
    """Writes a file of models."""

    def write(text: str) -> Path:
        path = tmp_path / "models.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """What `snapshot_download` reaches."""
    huggingface_hub = pytest.importorskip("huggingface_hub", reason="needs astria-emulator[real]")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    hub = Hub(look_up=huggingface_hub.snapshot_download)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.download)
    return hub
