"""A disk that is full, read-only or broken at any call: an error, a second try, nothing lost."""

import errno
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from werkzeug.test import TestResponse

from astria_emulator import Config, assembly, create_app
from astria_emulator.storage.folder_files import FolderFiles
from astria_emulator.storage.sql.sqlite import Sqlite
from astria_emulator.storage.sql.store import SqlStore
from astria_emulator.storage.store import Query
from tests.conftest import START, Api
from tests.storage.disks import FailingDisk


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """An application on a virtual clock that keeps everything on disk."""
    data = tmp_path / "data"
    monkeypatch.setattr(assembly, "open_store", lambda config: SqlStore(Sqlite(data)))
    monkeypatch.setattr(
        assembly, "open_files", lambda config, store: FolderFiles(store, 0, data / "files")
    )
    app = create_app(Config(clock=START))
    yield Api(app.test_client())
    app.close()


@pytest.fixture(params=[errno.ENOSPC, errno.EROFS, errno.EIO], ids=["full", "read-only", "broken"])
def disk(
    request: pytest.FixtureRequest, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> FailingDisk:
    return FailingDisk(monkeypatch, tmp_path, request.param)


def photo(shade: int) -> tuple[io.BytesIO, str, str]:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 0, 0)).save(out, "PNG")
    return io.BytesIO(out.getvalue()), f"{shade}.png", "image/png"


def create(api: Api, shade: int = 0) -> TestResponse:
    form = {"tune[title]": f"Jane {shade}", "tune[name]": "woman", "tune[branch]": "fast"}
    files = {"tune[images][]": [photo(shade), photo(shade + 100)]}
    return api.call("POST", "/tunes", data={**form, **files})


def retry_jobs(api: Api) -> None:
    """What the heartbeat does."""
    api.client.application.services.store.renew_claims()  # type: ignore[attr-defined]


def check_files(api: Api) -> None:
    """Every row's bytes are there, and after a sweep no others."""
    services: Any = api.client.application.services  # type: ignore[attr-defined]
    rows = services.store.find("file", Query(None))
    paths = {file.path for row in rows if (file := services.files.get(row["key"])) and file.path}
    assert all(path.read_bytes() for path in paths)
    services.files.sweep()
    assert set(services.files._folder.glob("*/*")) == paths


def test_creation_is_refused_whole_and_succeeds_later(api: Api, disk: FailingDisk) -> None:
    answers: list[int] = []

    def step(at: int) -> None:
        with disk.failing():
            answers.append(create(api, at % 100).status_code)

    assert disk.fail_each_call(step) > 10
    assert set(answers) == {201, 503}
    assert len(api.get("/tunes")) == answers.count(201)
    assert create(api).status_code == 201
    check_files(api)


def test_work_waits_and_is_done_later(api: Api, disk: FailingDisk) -> None:
    def step(at: int) -> None:
        tune = api.tune(title=f"Jane {at}")["id"]
        prompt = api.prompt(tune)["id"]
        with disk.failing():
            assert api.client.post("/_emulator/finish").status_code in (200, 503)
        retry_jobs(api)
        api.finish()
        assert api.get(f"/tunes/{tune}")["trained_at"]
        found = api.get(f"/prompts/{prompt}")
        assert (len(found["images"]), found["user_error"]) == (found["num_images"], None)

    assert disk.fail_each_call(step) > 20
    check_files(api)


STEPS = {
    "delete": ("DELETE", "/tunes/{id}"),
    "reset": ("POST", "/_emulator/reset"),
    "restore": ("POST", "/_emulator/snapshots/before/restore"),
    "snapshot": ("PUT", "/_emulator/snapshots/other"),
    "export": ("GET", "/_emulator/state"),
    "import": ("PUT", "/_emulator/state"),
}


@pytest.mark.parametrize("name", STEPS)
def test_change_is_whole_or_none(api: Api, disk: FailingDisk, name: str) -> None:
    method, path = STEPS[name]
    assert create(api).status_code == 201
    api.finish()
    assert api.client.put("/_emulator/snapshots/before").status_code == 200
    archive = api.client.get("/_emulator/state").data if name == "import" else b""

    def step(at: int) -> None:
        [tune] = api.get("/tunes")
        with disk.failing():
            answer = api.call(method, path.format(id=tune["id"]), data=archive)
        assert answer.status_code in (200, 503), answer.text
        is_gone = name in ("delete", "reset") and answer.status_code == 200
        assert [tune["title"] for tune in api.get("/tunes")] == ([] if is_gone else ["Jane 0"])
        check_files(api)
        assert api.client.post("/_emulator/snapshots/before/restore").status_code == 200
        check_files(api)

    assert disk.fail_each_call(step) > 3
