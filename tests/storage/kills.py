"""Kill a server at each call that writes; let the next one delete all; look for the photograph.

Run as `python -m tests.storage.kills STEP FOLDER [DATABASE-URL]`: prints, as JSON, the number of
kills and the places where the photograph's mark was found after its deletion. Processes are forked
from one that has loaded everything and has no threads, so that a kill costs no start.
"""

import io
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from astria_emulator import Config, assembly, create_app
from astria_emulator.app import Emulator
from astria_emulator.storage.folder_files import FolderFiles
from astria_emulator.storage.own_folders import erase_abandoned, temporary_parent
from astria_emulator.storage.sql.database import Database
from astria_emulator.storage.sql.postgres import Postgres
from astria_emulator.storage.sql.sqlite import Sqlite
from astria_emulator.storage.sql.store import SqlStore
from tests.conftest import START, Api

MARK = b"the-mark-of-a-photograph-of-a-person"
CALLS = ("open", "mkdir", "link", "fsync", "unlink", "rename", "replace", "rmdir")
MOST_KILLS = 400


def marked_photo() -> bytes:
    about = PngImagePlugin.PngInfo()
    about.add_text("Comment", MARK.decode())
    out = io.BytesIO()
    Image.new("RGB", (32, 32), "purple").save(out, "PNG", pnginfo=about)
    return out.getvalue()


def upload(api: Api, title: str = "Jane") -> Any:
    form = {"tune[title]": title, "tune[name]": "woman", "tune[branch]": "fast"}
    files = {"tune[images][]": (io.BytesIO(marked_photo()), "1.png", "image/png")}
    return api.call("POST", "/tunes", data={**form, **files})


# What is done before the step, and the step that is killed.
STEPS: dict[str, tuple[Callable[[Api], Any], Callable[[Api, Any], Any]]] = {
    "upload": (lambda api: None, lambda api, _: upload(api)),
    "delete": (upload, lambda api, tune: api.call("DELETE", f"/tunes/{tune.json['id']}")),
    "reset": (upload, lambda api, _: api.client.post("/_emulator/reset")),
    "snapshot": (upload, lambda api, _: api.client.put("/_emulator/snapshots/a")),
    "restore": (
        lambda api: (upload(api), api.client.put("/_emulator/snapshots/a")),
        lambda api, _: api.client.post("/_emulator/snapshots/a/restore"),
    ),
    "export": (upload, lambda api, _: api.client.get("/_emulator/state").data),
    "import": (
        lambda api: (upload(api), api.client.get("/_emulator/state").data)[1],
        lambda api, archive: api.client.put("/_emulator/state", data=archive),
    ),
}


def open_app(app: Emulator, folder: Path, url: str) -> Api:
    """Open a server on a folder, as `serve` does, but for the virtual clock."""
    erase_abandoned(temporary_parent())
    if folder.name != "memory":
        database: Database = Postgres(url) if url else Sqlite(folder)
        assembly.open_store = lambda config: SqlStore(database)
        assembly.open_files = lambda config, store: FolderFiles(store, 0, folder / "files")
    app.open(Config(clock=START))
    return Api(app.test_client())


def kill_at(number: int) -> None:
    """Let this process be killed at the call of a number from now on."""
    left = [number]
    for name in CALLS:
        real = getattr(os, name)

        def call(*args: Any, real: Any = real, **more: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **more)

        setattr(os, name, call)


def in_fork(work: Callable[[], None]) -> bool:
    """Do something in a process of its own; return whether it was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    return status != 0


def with_mark(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path.name for path in files if MARK in path.read_bytes()]


def main(step: str, folder: Path, url: str = "") -> None:
    os.umask(0o077)
    tempfile.tempdir = str(folder.parent / "temporary")
    os.mkdir(tempfile.tempdir)
    prepare, killed_step = STEPS[step]
    app = create_app(Config(clock=START))

    def killed() -> None:
        api = open_app(app, folder, url)
        prepared = prepare(api)
        kill_at(kills)
        killed_step(api, prepared)

    def next_server() -> None:
        api = open_app(app, folder, url)
        for tune in api.get("/tunes"):
            for image in tune["orig_images"]:  # nothing that a row names is gone
                assert api.client.get(image.partition("localhost")[2]).status_code == 200
            assert api.call("DELETE", f"/tunes/{tune['id']}").status_code == 200
        if isinstance(app.services.files, FolderFiles):
            app.services.files.sweep()
        app.close()

    kills, found = 0, list[str]()
    while in_fork(killed):
        kills += 1
        in_fork(next_server)
        found += [f"kill {kills}: {name}" for name in with_mark(folder.parent)]
        assert kills < MOST_KILLS
    print(json.dumps({"kills": kills, "found": found}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
