"""What happens to servers, their clients, their database and their disk.

Each kind is a function of the scene. It returns what came of it, or "" where that is seen at the
end only. When it returns, nothing is frozen, cut or full any more, and all servers run.
"""

import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import requests

from tools.crash.checks import list_tunes
from tools.crash.clients import (
    HEADERS,
    TIMEOUT_SECONDS,
    UNANSWERED,
    Client,
    Load,
    cut_connections,
    expect,
    upload,
)
from tools.crash.disk import Disk
from tools.crash.ledger import UNSURE, Ledger, World
from tools.crash.proxy import Proxy
from tools.crash.servers import Server

LONGEST_DELAY = 0.5  # seconds from the begin of something to the kill of its server
SNAPSHOT = "/_emulator/snapshots/crash"
UPLOAD_BYTES = 4_000_000


@dataclass
class Scene:
    """All that an event may touch.

    disk: None where none can be mounted. proxy: to the database; None with SQLite.
    """

    random: random.Random
    servers: list[Server]
    load: Load
    ledger: Ledger
    disk: Disk | None
    hook: str
    proxy: Proxy | None = None
    end_sessions: Callable[[], object] = lambda: None  # of the database, by itself

    def server(self) -> Server:
        return self.random.choice(self.servers)

    def seconds(self, *longer: float) -> float:
        """How long something is frozen: mostly short, and at times as long as one of `longer`."""
        if longer and self.random.random() < 0.15:
            return self.random.choice(longer)
        return self.random.uniform(0.05, 1.0)

    def wait(self) -> None:
        """Let the clients work for a moment."""
        time.sleep(self.random.uniform(0.1, 0.5))


# -- under load ------------------------------------------------------------------------------------
def kill(scene: Scene) -> str:
    server = scene.server()
    server.kill()
    server.start()
    return ""


def kill_all(scene: Scene) -> str:
    for server in scene.servers:
        server.kill()
    for server in scene.servers:
        server.start()
    return ""


def stop(scene: Scene) -> str:
    server = scene.server()
    ended = server.stop()
    server.start()
    return "" if ended else "SIGTERM did not end it"


def freeze_server(scene: Scene) -> str:
    # Longer than it may keep its lock, and than others wait for its work.
    scene.server().freeze(scene.seconds(6.0, 15.0))
    return ""


def cut_clients(scene: Scene) -> str:
    cut_connections(scene.server().url, scene.hook, scene.random)
    return ""


def freeze_database(scene: Scene) -> str:
    assert scene.proxy
    scene.proxy.moving.clear()
    time.sleep(scene.seconds(6.0, 15.0))
    scene.proxy.moving.set()
    return ""


def cut_database(scene: Scene) -> str:
    assert scene.proxy
    scene.proxy.cut()
    return ""


def end_sessions(scene: Scene) -> str:
    scene.end_sessions()
    return ""


def fill_disk(scene: Scene) -> str:
    assert scene.disk
    with scene.disk.full():
        time.sleep(scene.seconds(3.0))
    return ""


def make_read_only(scene: Scene) -> str:
    assert scene.disk
    with scene.disk.read_only():
        time.sleep(scene.seconds(3.0))
    return ""


# -- kills during something, under load ------------------------------------------------------------
def _kill_during(scene: Scene, act: Callable[[str], object]) -> str:
    """Do something with a server's address on a thread, and kill the server meanwhile."""
    server = scene.server()

    def attempt() -> None:
        with suppress(*UNANSWERED, OSError):
            act(server.url)

    thread = threading.Thread(target=attempt)
    thread.start()
    time.sleep(scene.random.uniform(0, LONGEST_DELAY))
    server.kill()
    thread.join()
    server.start()
    return ""


def kill_during_upload(scene: Scene) -> str:
    title = f"{UNSURE}{scene.random.randrange(1 << 32)}"

    def send(url: str) -> None:
        head, body = upload(url, title, scene.hook, UPLOAD_BYTES)
        with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as connection:
            connection.sendall(head)
            for start in range(0, len(body), 1 << 16):
                connection.sendall(body[start : start + (1 << 16)])
                time.sleep(LONGEST_DELAY / 100)  # some 60 pieces
            connection.recv(1000)

    return _kill_during(scene, send)


def kill_during_drawing(scene: Scene) -> str:
    def draw(url: str) -> None:
        get = partial(requests.get, headers=HEADERS, timeout=TIMEOUT_SECONDS)
        for tune in get(f"{url}/tunes?limit=10").json():
            for prompt in get(f"{url}/tunes/{tune['id']}/prompts").json():
                for picture in prompt["images"]:
                    get(url + urlsplit(picture).path)

    return _kill_during(scene, draw)


def kill_during_export(scene: Scene) -> str:
    return _kill_during(scene, lambda url: requests.get(f"{url}/_emulator/state", timeout=60))


def kill_during_snapshot(scene: Scene) -> str:
    return _kill_during(scene, lambda url: requests.put(url + SNAPSHOT, timeout=60))


# -- what replaces everything: killed meanwhile, it has happened wholly or not at all --------------
def reset(scene: Scene) -> str:
    return _replace(scene, World(), lambda url: requests.post(f"{url}/_emulator/reset", timeout=60))


def import_state(scene: Scene) -> str:
    client = scene.load.clients[0]
    with scene.load.paused():
        then = scene.ledger.copy_world()
        state = client.ask("GET", "/_emulator/state")
        expect(state, 200)
        client.create_lasting_tune()
    scene.wait()

    def put(url: str) -> requests.Response:
        headers = {"Content-Type": "application/zip"}
        return requests.put(
            f"{url}/_emulator/state", data=state.content, headers=headers, timeout=60
        )

    return _replace(scene, then, put)


def restore(scene: Scene) -> str:
    server = scene.server()
    with scene.load.paused():
        then = scene.ledger.copy_world()
        expect(Client([server], scene.ledger, scene.hook, -1).ask("PUT", SNAPSHOT), 200)
        scene.load.clients[0].create_lasting_tune()
    scene.wait()
    restore_it = f"{SNAPSHOT}/restore"
    return _replace(scene, then, lambda url: requests.post(url + restore_it, timeout=60), server)


def _replace(
    scene: Scene,
    then: World,
    act: Callable[[str], requests.Response],
    server: Server | None = None,
) -> str:
    """Replace everything by the world of `then`, and say which of the two is there afterwards."""
    server = server or scene.server()
    statuses: list[int] = []

    def attempt() -> None:
        with suppress(*UNANSWERED):
            statuses.append(act(server.url).status_code)

    with scene.load.paused():
        thread = threading.Thread(target=attempt)
        thread.start()
        if scene.random.random() < 0.8:
            time.sleep(scene.random.uniform(0, LONGEST_DELAY))
            server.kill()
            thread.join()
            server.start()
        thread.join()
        return settle_on(scene, then, statuses)


def settle_on(scene: Scene, then: World, statuses: list[int]) -> str:
    """Go on from the world before or after a replacement, whichever is there."""
    listed = {(tune["id"], tune["title"]) for tune in list_tunes(scene.load.clients[0])}
    there = {one for one in listed if not one[1].startswith(UNSURE)}
    before, after = scene.ledger.world.alive() ^ there, then.alive() ^ there
    if not after:
        scene.ledger.adopt(then)
        for client in scene.load.clients:
            client.adopt()
    if statuses and statuses[0] not in (200, 503):
        return f"it was answered {statuses[0]}"
    if statuses == [200] and after:
        return f"it was answered 200, and {len(after)} tunes differ from what it brings back"
    if before and after:
        return f"half done: {len(before)} tunes differ from before, {len(after)} from after"
    return ""


UNDER_LOAD = {
    "kill": kill,
    "kill all servers": kill_all,
    "stop": stop,
    "freeze a server": freeze_server,
    "cut clients": cut_clients,
    "kill during an upload": kill_during_upload,
    "kill during drawing": kill_during_drawing,
    "kill during an export": kill_during_export,
    "kill during a snapshot": kill_during_snapshot,
    "reset": reset,
    "import": import_state,
    "restore": restore,
}
OF_DATABASE = {
    "freeze the database": freeze_database,
    "cut the database": cut_database,
    "end its sessions": end_sessions,
}
OF_DISK = {"fill the disk": fill_disk, "make the disk read-only": make_read_only}


def kinds(scene: Scene) -> dict[str, Callable[[Scene], str]]:
    """The kinds of events that are possible here."""
    of_database = OF_DATABASE if scene.proxy else {}
    return UNDER_LOAD | of_database | (OF_DISK if scene.disk else {})
