"""What befalls the servers: each event ends with all of them at work again."""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import requests

from tools.crash.clients import MARK, Client, Ledger, photograph
from tools.crash.disk import Disk
from tools.crash.proxy import Proxy
from tools.crash.servers import Server

LIFE_SECONDS = (0.1, 0.6)  # shortest and longest, before an event
FREEZE_SECONDS = (0.5, 6.0)  # of a server: more than it keeps a lock, or less
DATABASE_SECONDS = (0.5, 10.0)
DISK_SECONDS = (0.3, 1.5)
STEP_SECONDS = (0.0, 0.15)  # from the begin of a step to the kill within it
SETTLE_SECONDS = 300.0
LARGE = "3.1:1"  # a picture that takes long to draw


@dataclass
class World:
    """The servers, who uses them, and what they stand on."""

    random: random.Random
    servers: list[Server]
    clients: list[Client]
    ledger: Ledger
    proxy: Proxy | None = None
    disk: Disk | None = None

    def pause(self, seconds: tuple[float, float]) -> None:
        time.sleep(self.random.uniform(*seconds))

    def any_server(self) -> Server:
        return self.random.choice(self.servers)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Let all clients pause, and all work end."""
        with ExitStack() as held:
            for client in self.clients:
                held.enter_context(client.turn)
            self.settle()
            yield

    def settle(self) -> None:
        """Wait until all work has ended, also that of killed servers."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            ended = self.control("POST", "finish").json()["callbacks_ended"]
            jobs = self.control("GET", "jobs").json()
            if ended and all(job["kind"] == "expire_tune" for job in jobs):
                return
            time.sleep(0.2)
        raise SystemExit(f"work is left: {jobs[:5]}")

    def control(self, method: str, path: str, **more: Any) -> requests.Response:
        """Ask the first server until it answers."""
        while True:
            with suppress(requests.RequestException):
                url = f"{self.servers[0].url}/_emulator/{path}"
                answer = requests.request(method, url, timeout=120, **more)
                if answer.status_code != 503:
                    return answer
            time.sleep(0.05)


def restart(world: World, server: Server) -> None:
    server.kill()
    server.start()
    note_unknown(world)


def note_unknown(world: World) -> None:
    """Note the deliveries that may or may not have been sent."""
    for row in world.control("GET", "callbacks").json():
        if row["state"] == "unknown":
            world.ledger.unknown.add(requests.utils.urlparse(row["url"]).path)


# -- servers ---------------------------------------------------------------------------------------
def kill(world: World) -> None:
    restart(world, world.any_server())


def freeze(world: World) -> None:
    server = world.any_server()
    server.freeze()
    world.pause(FREEZE_SECONDS)
    server.wake()
    note_unknown(world)


def kill_within(world: World, step: Callable[[Server], object]) -> None:
    """Kill the first server in the middle of a step."""
    server = world.servers[0]

    def do() -> None:
        with suppress(requests.RequestException, OSError):
            step(server)

    thread = threading.Thread(target=do)
    thread.start()
    world.pause(STEP_SECONDS)
    restart(world, server)
    thread.join()


def kill_in_upload(world: World) -> None:
    """A photograph of nobody's: its tune may be there or not, and is deleted."""
    form = {"tune[title]": "uploaded", "tune[name]": "woman", "tune[branch]": "fast"}
    files = {"tune[images][]": ("a.png", photograph(1) + MARK * 20_000, "image/png")}
    client = world.clients[0]
    with client.turn:
        kill_within(world, lambda server: post(server, "/tunes", data=form, files=files))
        for tune in client.ask("GET", "/tunes?limit=120").json():
            if tune["title"] == "uploaded":
                client.ask("DELETE", f"/tunes/{tune['id']}")


def kill_in_drawing(world: World) -> None:
    with world.clients[0].turn:
        body = {"prompt": {"text": "large", "ar": LARGE, "super_resolution": True}}
        answer = world.clients[0].ask("POST", "/tunes/690204/prompts", json=body)
        if answer.status_code != 201:
            return
        id = answer.json()["id"]
        world.control("POST", "finish")
        images = world.clients[0].ask("GET", f"/prompts/{id}").json()["images"]
        kill_within(world, lambda server: get(server, "/" + images[0].rpartition("/")[2]))
        world.clients[0].ask("DELETE", f"/prompts/{id}")


def kill_in_export(world: World) -> None:
    kill_within(world, lambda server: get(server, "/_emulator/state"))


def kill_in_import(world: World) -> None:
    """The state of now, so that it is the same before and after."""
    with world.quiet():
        archive = world.control("GET", "state").content
        headers = {"Content-Type": "application/zip"}
        kill_within(
            world,
            lambda server: requests.put(
                f"{server.url}/_emulator/state", data=archive, headers=headers, timeout=60
            ),
        )


def kill_in_restore(world: World) -> None:
    with world.quiet():
        world.control("PUT", "snapshots/now")
        kill_within(world, lambda server: post(server, "/_emulator/snapshots/now/restore"))


def kill_in_reset(world: World) -> None:
    """All or nothing: one tune that is left stands for all."""
    with world.quiet():
        before = world.clients[0].ask("GET", "/tunes?limit=120").json()
        kill_within(world, lambda server: post(server, "/_emulator/reset"))
        if before and not world.clients[0].ask("GET", "/tunes").json():
            world.ledger.forget()
            for client in world.clients:
                client.forget()


# -- connections -----------------------------------------------------------------------------------
def cut_clients(world: World) -> None:
    """Break off uploads in their middle."""
    head = b"POST /tunes HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer sd_crash\r\n"
    body = b"Content-Type: application/json\r\nContent-Length: 900000\r\n\r\n" + MARK * 10_000
    for _ in range(20):
        port = int(world.any_server().url.rpartition(":")[2])
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(head + body)


def freeze_database(world: World) -> None:
    assert world.proxy
    world.proxy.moving.clear()
    world.pause(DATABASE_SECONDS)
    world.proxy.moving.set()


def cut_database(world: World) -> None:
    assert world.proxy
    world.proxy.cut()


# -- the disk --------------------------------------------------------------------------------------
def fill_disk(world: World) -> None:
    assert world.disk
    with world.disk.full():
        world.pause(DISK_SECONDS)


def make_disk_read_only(world: World) -> None:
    assert world.disk
    with world.disk.read_only():
        world.pause(DISK_SECONDS)


def get(server: Server, path: str) -> bytes:
    return requests.get(server.url + path, headers=KEY, timeout=60).content


def post(server: Server, path: str, **more: Any) -> None:
    requests.post(server.url + path, headers=KEY, timeout=60, **more)


KEY = {"Authorization": "Bearer sd_crash"}
EVENTS: Mapping[str, Callable[[World], None]] = {
    "kill": kill,
    "freeze a server": freeze,
    "kill in an upload": kill_in_upload,
    "kill in a drawing": kill_in_drawing,
    "kill in an export": kill_in_export,
    "kill in an import": kill_in_import,
    "kill in a restore": kill_in_restore,
    "kill in a reset": kill_in_reset,
    "cut clients": cut_clients,
    "freeze the database": freeze_database,
    "cut the database": cut_database,
    "fill the disk": fill_disk,
    "make the disk read-only": make_disk_read_only,
}
OF_DATABASE = frozenset({"freeze the database", "cut the database"})
OF_DISK = frozenset({"fill the disk", "make the disk read-only"})


def possible(world: World) -> list[str]:
    """The events that can befall a world."""
    without = frozenset[str]()
    if world.proxy is None:
        without |= OF_DATABASE
    if world.disk is None:
        without |= OF_DISK
    return [name for name in EVENTS if name not in without]
