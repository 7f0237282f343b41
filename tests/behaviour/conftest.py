"""Fixtures on top of `api`: a second account, slow work, and bytes to upload.

Making an application costs more than most tests. Here one is made for each combination of settings,
and put back to its beginning before a test gets it.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from astria_emulator import Config, assembly, create_app
from astria_emulator.app import Emulator
from astria_emulator.storage.folder_files import FolderFiles
from astria_emulator.storage.sql import postgres
from astria_emulator.storage.store import Store
from tests.behaviour.fetching_cases import ALWAYS, Site
from tests.databases import STORES
from tests.listeners import listening

START = "2026-01-01T00:00:00Z"


@pytest.fixture(scope="session", autouse=True)
def _stores(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Applications keep what `--store` says, although they have a virtual clock."""
    kind = request.config.getoption("--store")
    if kind == "memory":
        yield
        return
    with ExitStack() as opened, pytest.MonkeyPatch.context() as patch:
        folders: dict[Store, Path] = {}

        def open_store(config: Config) -> Store:
            store = opened.enter_context(STORES[kind]())
            folders[store] = tmp_path_factory.mktemp("files")
            return store

        def open_files(config: Config, store: Store) -> FolderFiles:
            return FolderFiles(store, config.seed, folders[store])

        patch.setattr(postgres, "CONNECTIONS", 2)  # many applications are kept open
        patch.setattr(assembly, "open_store", open_store)
        patch.setattr(assembly, "open_files", open_files)
        yield


@pytest.fixture(scope="session")
def kept_apps(_stores: None) -> Iterator[dict[str, Emulator]]:
    kept: dict[str, Emulator] = {}
    yield kept
    for app in kept.values():
        app.close()


@pytest.fixture
def make_app(
    make_app: Callable[..., Emulator], kept_apps: dict[str, Emulator]
) -> Callable[..., Emulator]:
    """Makes applications; the first of its settings in a test is one that was kept."""
    used: set[str] = set()

    def make(**settings: Any) -> Emulator:
        key = repr(sorted(settings.items()))
        if key in used or {"clock", "spec_path"} & settings.keys():
            return make_app(**settings)
        used.add(key)
        if key not in kept_apps:
            kept_apps[key] = create_app(Config(clock=START, **settings))
        return as_new(kept_apps[key])

    return make


def as_new(app: Emulator) -> Emulator:
    services = app.services
    # Calls under way may end. One that waits for what will not come is forgotten with the rest.
    services.callbacks.wait(10)
    services.reset()
    services.idempotency = services.config.idempotency
    services.clock._now = services.config.clock_start
    return app


@pytest.fixture
def other(api: Any) -> Any:
    """Another account on the application of `api`."""
    return replace(api, key="sd_other")


@pytest.fixture
def slow(make_api: Callable[..., Any]) -> Any:
    """An application whose training and prompts take a minute of the virtual clock."""
    return make_api(train_seconds=60, prompt_seconds=60)


@pytest.fixture
def lora(api: Any) -> Any:
    """A trained Flux LoRA, whose base is 1504944."""
    tune = api.tune(title="Lora", branch="flux1", model_type="lora", base_tune_id=1504944)
    api.finish()
    return api.get(f"/tunes/{tune['id']}")


@pytest.fixture
def faceid(api: Any) -> Any:
    """A FaceID tune on 690204."""
    return api.tune(title="Face", branch="sd15", model_type="faceid", base_tune_id=690204)


@pytest.fixture
def photo() -> Callable[..., bytes]:
    """Makes a small JPEG of one colour."""

    def make(colour: str = "teal", size: tuple[int, int] = (64, 48)) -> bytes:
        out = BytesIO()
        Image.new("RGB", size, colour).save(out, "JPEG")
        return out.getvalue()

    return make


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            found.before()
            kind, data = found.files.get(self.path.partition("?")[0], ("", b""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None: ...

    with listening(Handler) as found.url:
        yield found


@pytest.fixture
def fetching_api(make_api: Callable[..., Any]) -> Any:
    return make_api(**ALWAYS)
