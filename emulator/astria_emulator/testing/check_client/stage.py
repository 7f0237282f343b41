"""Run a command through one scenario, against a server of its own, and collect what happened."""

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, BinaryIO

from astria_emulator.app import Emulator, create_app
from astria_emulator.config import Config
from astria_emulator.control.handlers import CALLBACK_SECONDS
from astria_emulator.faults.reading import Scenario
from astria_emulator.outbound.door import PostResult
from astria_emulator.outbound.outbox import Outbox, ThreadOutbox
from astria_emulator.request.journal import Entry, Journal
from astria_emulator.server.background import serving
from astria_emulator.storage.store import Query, Row
from astria_emulator.testing.check_client.play import CREATES, Callback, Play, Request, Thing

MOST_REQUESTS = 100_000  # that are remembered of a play
OUTPUT_BYTES, OUTPUT_LINES = 65_536, 60  # of what a command printed, the last
GRACE_SECONDS = 2.0  # for a command to end when it is told to
LOOK_SECONDS = 0.02
MAKING = frozenset({*CREATES, "run_pack"})  # tunes and prompts
SECRET = 8  # characters: a shorter key protects nothing, and its letters may be anywhere


@dataclass(frozen=True)
class Stage:
    """How a command is played. `timeout`: seconds after which it is ended.

    `config`: of each server, but for the scenario. Plays may be made in several threads.
    """

    command: Sequence[str]
    config: Config
    timeout: float
    _running: set["subprocess.Popen[bytes]"] = field(default_factory=set)
    _closed: threading.Event = field(default_factory=threading.Event)

    def play(self, scenario: Scenario) -> Play:
        """Raises OSError where the command cannot be run."""
        config = replace(self.config, scenario=(scenario.name,))
        outbox = NotedOutbox(ThreadOutbox(config.callback_hosts))
        app = create_app(config, outbox=outbox)
        app.services.journal = Journal(size=MOST_REQUESTS)
        try:
            with serving(app, host=config.host) as port:
                begun = _now()
                found, printed = self._run(config.variables(f"http://{config.host}:{port}"))
                seconds = (_now() - begun).total_seconds()
                # What the command has left undone ends now: nothing of it is its doing.
                app.services.runner.finish()
                app.services.callbacks.wait(CALLBACK_SECONDS)
            return _collected(app, outbox, scenario, begun, (seconds, found, printed))
        finally:
            app.close()

    def close(self) -> None:
        """End the commands that run; no more are begun."""
        self._closed.set()
        for process in [*self._running]:
            _end(process)

    def _run(self, variables: Mapping[str, str]) -> tuple[int | None, str]:
        """The command's exit code, and what it printed; what it has left running is ended."""
        if self._closed.is_set():
            return None, ""
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(  # noqa: S603 - the user's own
                self.command,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running.add(process)
            try:
                if self._closed.is_set():  # since it was asked
                    return None, ""
                code: int | None = process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                _end(process)
                self._running.discard(process)
            return code, _tail(output, self.config.keys)


class NotedOutbox:
    """Sends callbacks by another outbox, and notes when each was sent and how it ended."""

    def __init__(self, outbox: Outbox):
        self._outbox = outbox
        self.senders = outbox.senders
        self.calls: list[tuple[datetime, datetime, str, Any, PostResult | None]] = []

    def submit(self, send: Callable[[], None]) -> None:
        self._outbox.submit(send)

    def flush(self) -> int:
        return self._outbox.flush()

    def post(self, url: str, body: bytes, *, hang_up: bool) -> PostResult | None:
        begun = _now()
        sent = self._outbox.post(url, body, hang_up=hang_up)
        self.calls.append((begun, _now(), url, json.loads(body), sent))
        return sent

    def close(self) -> None:
        self._outbox.close()


def _now() -> datetime:
    return datetime.now(UTC)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a command, and what it has begun."""
    deadline = time.monotonic() + GRACE_SECONDS
    _signal(process, signal.SIGTERM)
    while _signal(process, 0) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: "subprocess.Popen[bytes]", number: int) -> bool:
    """Tell a command's group of processes; whether there is one left."""
    process.poll()  # or it would be there until it is asked after
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _tail(output: BinaryIO, keys: Sequence[str]) -> str:
    """The last of what was printed, without keys."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - OUTPUT_BYTES))
    text = output.read().decode(errors="replace")
    for key in keys:
        text = text.replace(key, "[key]") if len(key) >= SECRET else text
    return "\n".join(text.splitlines()[-OUTPUT_LINES:])


def _collected(
    app: Emulator,
    outbox: NotedOutbox,
    scenario: Scenario,
    begun: datetime,
    ended: tuple[float, int | None, str],
) -> Play:
    services = app.services
    seconds, code, output = ended

    def since(moment: datetime | None) -> float | None:
        return None if moment is None else (moment - begun).total_seconds()

    def request(entry: Entry) -> Request:
        end = (entry.at - begun).total_seconds()
        made = entry.made if entry.operation in MAKING else None
        return Request(
            entry.id,
            max(0.0, end - entry.seconds),
            end,
            entry.method,
            entry.path,
            entry.operation,
            entry.query,
            entry.body,
            entry.status,
            tuple(entry.faults),
            made["object_id"] if made else None,
        )

    def thing(row: Row) -> Thing:
        under = tuple(ref for ref in row.refs if isinstance(ref, int))
        created = since(row["created_at"]) or 0.0
        return Thing(row.table, row.id, created, since(row["trained_at"]), under)

    deliveries = services.store.find("delivery", Query(None))
    rows = [row for row in services.store.rows() if row.owner is not None]
    return Play(
        scenario,
        seconds,
        code,
        output,
        sum(standing.struck for standing in services.faults.active()),
        sorted(map(request, services.journal.entries()), key=lambda one: (one.start, one.id)),
        _callbacks(deliveries, outbox, begun),
        [thing(row) for row in rows if row.table in ("tune", "prompt")],
    )


def _callbacks(deliveries: Sequence[Row], outbox: NotedOutbox, begun: datetime) -> list[Callback]:
    """All calls in the order of sending, those that were dropped among them."""
    found = []
    faults = {(row["object"], row["object_id"], row["url"]): row.get("fault") for row in deliveries}
    for row in deliveries:
        if row["state"] == "dropped":
            about = (row["object"], row["object_id"], _place(row["url"]))
            at, fault = (row["at"] - begun).total_seconds(), row.get("fault")
            found.append(Callback(*about, at, None, None, row["error"], fault))
    for sent, ended, url, body, result in outbox.calls:
        kind, id = _about(body)
        found.append(
            Callback(
                kind,
                id,
                _place(url),
                (sent - begun).total_seconds(),
                (ended - begun).total_seconds(),
                result.status if result else None,
                result.error if result else None,
                faults.get((kind, id, url)),
            )
        )
    return sorted(found, key=lambda callback: callback.sent)


def _about(body: Any) -> tuple[str, int]:
    """Whom a callback is about; a run of a pack has no number of its own."""
    if isinstance(body, dict):
        for kind in ("tune", "prompt"):
            if isinstance(body.get(kind), dict):
                return kind, body[kind].get("id", 0)
    return "run", 0


def _place(url: str) -> str:
    return url.partition("?")[0]
