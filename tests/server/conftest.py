"""Fixtures of the tests in this folder."""

import logging
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from astria_emulator import Config
from astria_emulator.app import Emulator
from astria_emulator.server.certificates import path_of, server_context
from astria_emulator.server.http_server import Server
from tests import PATIENCE_SECONDS
from tests.server.processes import KEY, Process, command, environment
from tests.server.raw_clients import Running


@pytest.fixture
def running(make_app: Any, caplog: Any) -> Iterator[Callable[..., Running]]:
    """Starts servers; afterwards no error may stand in the log."""
    caplog.set_level(logging.INFO)
    started: list[Running] = []
    with ExitStack() as opened:

        def start(*, app: Any = None, **given: Any) -> Running:
            started.append(Running(app or make_app(**given), opened))
            return started[-1]

        yield start
    for one in started:
        one.stop()
    loud = [r for r in caplog.records if r.levelno >= logging.ERROR or r.exc_info]
    assert [r.getMessage() for r in loud] == []


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts servers with these flags, and with settings as variables; ends them afterwards."""
    started: list[subprocess.Popen[str]] = []
    watchdogs: list[threading.Timer] = []

    def begin(*flags: Any, **settings: str) -> Process:
        with (tmp_path / "log").open("a") as log:
            popen = subprocess.Popen(
                command("serve", *(() if "port" in settings else ("--port", 0)), *flags),
                env=environment(settings),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        started.append(popen)
        watchdogs.append(threading.Timer(PATIENCE_SECONDS, popen.kill))
        watchdogs[-1].start()
        assert popen.stdout
        said = popen.stdout.readline()
        found = re.search(r"export ASTRIA_BASE_URL=(\S+)", said)
        assert found, (tmp_path / "log").read_text()
        return Process(popen, said, found[1])

    yield begin
    for popen, watchdog in zip(started, watchdogs, strict=True):
        watchdog.cancel()
        popen.kill()
        popen.wait()
        popen.stdout.close()  # type: ignore[union-attr]


# -- HTTPS -----------------------------------------------------------------------------------------
@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tls=True, tls_dir=str(tmp_path / "tls"))


@pytest.fixture
def https(make_app: Callable[..., Emulator], config: Config) -> Iterator[tuple[str, Server]]:
    app = make_app(clock="", tls=True, tls_dir=config.tls_dir, train_seconds=0)
    server = Server(
        app, "127.0.0.1", 0, max_body=50_000_000, is_quick=app.is_quick, tls=server_context(config)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"https://localhost:{server.port}", server
    server.stop()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


@pytest.fixture
def client(config: Config) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False  # it would win over the next line
        session.verify = str(path_of(config))
        session.headers.update(KEY)
        yield session
