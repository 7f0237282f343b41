"""Run a command through one scenario against a new server, and collect what happened."""

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

MAX_REQUESTS = 100_000  # in the journal of a play
OUTPUT_BYTES, OUTPUT_LINES = 65_536, 60  # of what a command printed, the last
GRACE_SECONDS = 2.0  # between SIGTERM and SIGKILL
POLL_SECONDS = 0.02
CREATING = frozenset({*CREATES, "run_pack"})  # operations that create tunes and prompts
MIN_SECRET = 8  # characters of a key to hide: shorter ones are part of common words


@dataclass(frozen=True)
class Stage:
    """Runs a command through scenarios, in several threads if need be.

    config: the settings of each server, except the scenario. `timeout`: seconds after which the
    command is ended.
    """

    command: Sequence[str]
    config: Config
    timeout: float
    _running: set["subprocess.Popen[bytes]"] = field(default_factory=set)
    _closed: threading.Event = field(default_factory=threading.Event)

    def play(self, scenario: Scenario) -> Play:
        """Run the command through a scenario.

        Raises OSError where the command cannot be run.
        """
        config = replace(self.config, scenario=(scenario.name,))
        outbox = RecordingOutbox(ThreadOutbox(config.callback_hosts))
        app = create_app(config, outbox=outbox)
        app.services.journal = Journal(size=MAX_REQUESTS)
        try:
            with serving(app, host=config.host) as port:
                begun = _now()
                code, output = self._run(config.variables(f"http://{config.host}:{port}"))
                seconds = (_now() - begun).total_seconds()
                # Complete what still runs; the client is not judged by it.
                app.services.runner.finish()
                app.services.callbacks.wait(CALLBACK_SECONDS)
            return _collect(
                app, outbox, scenario, begun=begun, seconds=seconds, exit_code=code, output=output
            )
        finally:
            app.close()

    def close(self) -> None:
        """End the commands that run, and start no more."""
        self._closed.set()
        for process in [*self._running]:
            _end(process)

    def _run(self, variables: Mapping[str, str]) -> tuple[int | None, str]:
        """Return the command's exit code and output; end the processes that it left running."""
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
                if self._closed.is_set():  # since the first check
                    return None, ""
                code: int | None = process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                _end(process)
                self._running.discard(process)
            return code, _tail(output, self.config.keys)


class RecordingOutbox:
    """Sends callbacks by another outbox, and records when each was sent and how it ended."""

    def __init__(self, outbox: Outbox):
        self._outbox = outbox
        self.senders, self.calls_each = outbox.senders, outbox.calls_each
        self.calls: list[tuple[datetime, datetime, str, Any, PostResult | None]] = []

    def submit(self, send: Callable[[], None]) -> None:
        self._outbox.submit(send)

    def flush(self) -> int:
        return self._outbox.flush()

    def post(self, url: str, body: bytes, *, hang_up: bool) -> PostResult | None:
        begun = _now()
        result = self._outbox.post(url, body, hang_up=hang_up)
        self.calls.append((begun, _now(), url, json.loads(body), result))
        return result

    def close(self) -> None:
        self._outbox.close()


def _now() -> datetime:
    return datetime.now(UTC)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a command and its child processes."""
    deadline = time.monotonic() + GRACE_SECONDS
    _signal(process, signal.SIGTERM)
    while _signal(process, 0) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: "subprocess.Popen[bytes]", number: int) -> bool:
    """Signal a command's process group; return whether a process is left."""
    process.poll()  # otherwise an ended process would remain as a zombie
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _tail(output: BinaryIO, keys: Sequence[str]) -> str:
    """Return the last lines of output, without keys."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - OUTPUT_BYTES))
    text = output.read().decode(errors="replace")
    for key in keys:
        text = text.replace(key, "[key]") if len(key) >= MIN_SECRET else text
    return "\n".join(text.splitlines()[-OUTPUT_LINES:])


def _collect(
    app: Emulator,
    outbox: RecordingOutbox,
    scenario: Scenario,
    *,
    begun: datetime,
    seconds: float,
    exit_code: int | None,
    output: str,
) -> Play:
    """Return a play: what the server and the outbox have recorded of it."""
    services = app.services

    def since(moment: datetime | None) -> float | None:
        return None if moment is None else (moment - begun).total_seconds()

    def request(entry: Entry) -> Request:
        end = (entry.at - begun).total_seconds()
        made = entry.made if entry.operation in CREATING else None
        return Request(
            id=entry.id,
            start=max(0.0, end - entry.seconds),
            end=end,
            method=entry.method,
            path=entry.path,
            operation=entry.operation,
            query=entry.query,
            body=entry.body,
            status=entry.status,
            faults=tuple(entry.faults),
            made=made["object_id"] if made else None,
        )

    def thing(row: Row) -> Thing:
        under = tuple(ref for ref in row.refs if isinstance(ref, int))
        return Thing(
            table=row.table,
            id=row.id,
            created=since(row["created_at"]) or 0.0,
            ended=since(row["trained_at"]),
            under=under,
        )

    deliveries = services.store.find("delivery", Query(None))
    rows = [row for row in services.store.rows() if row.owner is not None]
    requests = map(request, services.journal.entries())
    return Play(
        scenario=scenario,
        seconds=seconds,
        exit=exit_code,
        output=output,
        struck=sum(rule.struck for rule in services.faults.active()),
        requests=sorted(requests, key=lambda request: (request.start, request.id)),
        callbacks=_callbacks(deliveries, outbox, begun),
        things=[thing(row) for row in rows if row.table in ("tune", "prompt")],
    )


def _callbacks(
    deliveries: Sequence[Row], outbox: RecordingOutbox, begun: datetime
) -> list[Callback]:
    """Return all calls in the order of sending, dropped ones included."""
    callbacks = []
    faults = {(row["object"], row["object_id"], row["url"]): row.get("fault") for row in deliveries}
    for row in deliveries:
        if row["state"] == "dropped":
            callbacks.append(
                Callback(
                    object=row["object"],
                    object_id=row["object_id"],
                    url=_without_query(row["url"]),
                    sent=(row["at"] - begun).total_seconds(),
                    ended=None,
                    error=row["error"],
                    fault=row.get("fault"),
                )
            )
    for sent, ended, url, body, result in outbox.calls:
        kind, id = _object_of(body)
        callbacks.append(
            Callback(
                object=kind,
                object_id=id,
                url=_without_query(url),
                sent=(sent - begun).total_seconds(),
                ended=(ended - begun).total_seconds(),
                status=result.status if result else None,
                error=result.error if result else None,
                fault=faults.get((kind, id, url)),
            )
        )
    return sorted(callbacks, key=lambda callback: callback.sent)


def _object_of(body: Any) -> tuple[str, int]:
    """Return kind and id of the object of a callback; a run of a pack has no id in it."""
    if isinstance(body, dict):
        for kind in ("tune", "prompt"):
            if isinstance(body.get(kind), dict):
                return kind, body[kind].get("id", 0)
    return "run", 0


def _without_query(url: str) -> str:
    return url.partition("?")[0]
