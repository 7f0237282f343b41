"""A server stops within a bounded time, and answers for its health, whatever is stuck."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
import requests

from astria_emulator.server import stopping
from astria_emulator.server.stopping import STOP_SECONDS, StopLimit
from astria_emulator.storage.heartbeat import Heartbeat
from tests import PATIENCE_SECONDS, wait_until
from tests.databases import postgres_database
from tests.server.processes import KEY, Process
from tools.crash.proxy import Proxy

TUNE = {"title": "a", "name": "cat", "branch": "fast", "image_urls": ["http://a.test/1"]}


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a receiver that takes connections and answers nothing."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=100)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


# -- the limit -------------------------------------------------------------------------------------
def test_limit_of_a_stop_is_shorter_than_dockers() -> None:
    assert STOP_SECONDS < 8


def test_process_ends_when_its_stop_takes_too_long(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[int] = []
    limit = StopLimit(0.0, ended.append)
    assert ended == []
    may_end = threading.Event()
    stuck = threading.Thread(target=may_end.wait, name="stuck", daemon=False)
    stuck.start()
    limit.begin()
    wait_until(lambda: ended)
    may_end.set()
    stuck.join(PATIENCE_SECONDS)
    assert ended == [0]
    assert "cuts off what is under way" in caplog.text
    assert "stuck" in caplog.text


@pytest.mark.parametrize("data", [False, True], ids=["memory", "data"])
def test_server_ends_although_receivers_of_callbacks_do_not_answer(
    start: Callable[..., Process], tmp_path: Any, silent: str, data: bool
) -> None:
    process = start("--train-seconds", 0, *(["--data", tmp_path / "data"] if data else []))
    for _ in range(8):
        process.post("/tunes", {"tune": {**TUNE, "callback": silent}})
    wait_until(lambda: len(process.get("/_emulator/callbacks").json()) == 8)
    assert process.end() == 0
    if data:
        again = start("--data", tmp_path / "data")
        wait_until(lambda: "unknown" in states_of_calls(again))  # those that were cut off
        assert len(states_of_calls(again)) == 8


def states_of_calls(process: Process) -> list[str]:
    return [call["state"] for call in process.get("/_emulator/callbacks").json()]


def test_signal_lets_the_time_run(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    limit = StopLimit(PATIENCE_SECONDS)
    monkeypatch.setattr(limit, "begin", lambda: calls.append("begin"))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        stopping.stop_on_signals(lambda: calls.append("stop"), limit)
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: len(calls) == 2)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert calls == ["begin", "stop"]


# -- a database that is frozen ---------------------------------------------------------------------
@pytest.fixture
def frozen(start: Callable[..., Process], tmp_path: Any) -> Iterator[Process]:
    """A server whose database is frozen, with more requests under way than it has threads."""
    with postgres_database() as url, closing(Proxy(url)) as proxy:
        process = start("--data", tmp_path / "data", database=proxy.url)
        process.post("/tunes", {"tune": TUNE})
        proxy.moving.clear()
        waiting = [threading.Thread(target=ask, args=[process]) for _ in range(20)]
        for thread in waiting:
            thread.start()
        yield process
        process.popen.kill()
        for thread in waiting:
            thread.join(PATIENCE_SECONDS)


def ask(process: Process) -> None:
    with suppress(requests.ConnectionError):  # it is killed meanwhile
        requests.get(f"{process.url}/tunes", headers=KEY, timeout=PATIENCE_SECONDS)


def test_health_tells_of_a_frozen_database(frozen: Process) -> None:
    health = wait_until(lambda: bad_health(frozen))
    assert health["status"] == "degraded"
    assert health["problems"][0].startswith("the database: ")


def bad_health(process: Process) -> Any:
    answer = process.get("/_emulator/health")
    return answer.json() if answer.status_code == 503 else None


def test_server_whose_database_is_frozen_ends(frozen: Process) -> None:
    wait_until(lambda: bad_health(frozen))
    assert frozen.end() == 0


# -- a server that is frozen -----------------------------------------------------------------------
HOLD = """
import os, sys, signal
from astria_emulator.storage.sql.postgres import Postgres
from astria_emulator.storage.sql.store import SqlStore
store = SqlStore(Postgres(sys.argv[1]))
with store.transaction():
    store.insert("tune", 1, {"title": "lost"})
    store.next_ids()
    print("holds the lock", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_others_go_on_while_one_is_frozen_with_the_lock(
    start: Callable[..., Process], tmp_path: Any
) -> None:
    with postgres_database() as url:
        process = start("--data", tmp_path / "data", database=url)
        frozen = subprocess.Popen(
            [sys.executable, "-c", HOLD, url],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert frozen.stdout
            frozen.stdout.readline()
            assert process.post("/tunes", {"tune": TUNE})["id"]
            frozen.send_signal(signal.SIGCONT)
            _, errors = frozen.communicate(timeout=PATIENCE_SECONDS)
            assert "Unavailable" in errors
            assert [tune["title"] for tune in process.get("/tunes").json()] == ["a"]
        finally:
            frozen.kill()
            frozen.wait()


# -- the heartbeat ---------------------------------------------------------------------------------
def test_action_that_waits_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    may_end, beats = threading.Event(), []

    def fails() -> None:
        beats.append(time.monotonic())
        raise ZeroDivisionError

    heartbeat = Heartbeat(may_end.wait, fails, seconds=0.0)
    heartbeat.start()
    wait_until(lambda: len(beats) > 2)
    may_end.set()
    heartbeat.stop()
