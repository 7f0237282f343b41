"""The two records that every handler takes: the server's parts, and the caller."""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from astria_emulator.backend import Artefact, Backend
from astria_emulator.clock import Clock, VirtualClock
from astria_emulator.config import Config
from astria_emulator.domain.gallery import Gallery
from astria_emulator.domain.lifecycle import WAITS_IN
from astria_emulator.domain.rows import SettingRow
from astria_emulator.faults.rules import Faults
from astria_emulator.mock.backend import MockBackend
from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.request.journal import Journal
from astria_emulator.spec.schemas import Compiler
from astria_emulator.storage.files import Files
from astria_emulator.storage.gc_tuning import tidy_up_soon
from astria_emulator.storage.heartbeat import Heartbeat
from astria_emulator.storage.snapshots import Snapshots
from astria_emulator.storage.state import State, take
from astria_emulator.storage.store import CALLBACKS, Job, Key, Row, Store

FAST = "fast"


class Runner(Protocol):
    """Claims and runs jobs.

    `begin_answer` and `end_answer` enclose a request in its thread. `notice` announces a job.
    `expect` announces an object: all of its jobs wait for the answer too, whoever adds them.
    `complete_early` completes the work of this thread's request before its answer, and returns
    the objects of that work.
    """

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def notice(self, job: Job) -> None: ...
    def expect(self, row: Row) -> None: ...
    def begin_answer(self) -> None: ...
    def end_answer(self) -> Callable[[], None]: ...
    def complete_early(self) -> Collection[Key]: ...
    def settle(self) -> int: ...
    def finish(self) -> int: ...


@dataclass
class Services:
    """The parts of a server."""

    config: Config
    contract: Compiler
    clock: Clock
    store: Store
    files: Files
    runner: Runner
    callbacks: Callbacks
    mock: MockBackend
    backend: Backend
    gallery: Gallery
    heartbeat: Heartbeat
    sweeper: Heartbeat  # erases what servers that were killed have left
    faults: Faults
    journal: Journal
    stopping: threading.Event = field(default_factory=threading.Event)
    snapshots: Snapshots = field(default_factory=Snapshots)
    insert_seed_data: Callable[[], object] = lambda: (
        None
    )  # puts seed data where there is nothing yet

    @property
    def idempotency(self) -> bool:
        """Whether accounts without a setting of their own are idempotent. It is stored."""
        setting = self.store.get("setting", 1)
        return setting["idempotency"] if setting else self.config.idempotency

    @idempotency.setter
    def idempotency(self, value: bool) -> None:
        with self.store.transaction():
            if setting := self.store.get("setting", 1):
                self.store.update(setting, {"idempotency": value})
            else:
                row: SettingRow = {"idempotency": value}
                self.store.insert("setting", None, row, id=1)

    @property
    def is_quick(self) -> bool:
        """Whether every request is fast except drawing and calls of /_emulator/."""
        config = self.config
        in_memory = not config.data and config.backend == "mock" and not config.clock
        return in_memory and not self.faults and self.assumed("fetching") == "never"

    @property
    def may_fetch(self) -> bool:
        """Whether files of other servers are fetched, as a real backend needs them to train on."""
        return self.assumed("fetching") != "never" or self.config.backend != "mock"

    def assumed(self, name: str) -> str:
        return self.config.assumed[name]

    def backend_for(self, branch: str) -> Backend:
        """The mock for `fast`, always, and for what the backend does not serve."""
        return self.backend if branch != FAST and self.backend.serves(branch) else self.mock

    def backend_for_prompt(self, prompt: Mapping[str, Any]) -> Backend:
        """Return a prompt's backend. The mock makes videos: the service's come from partners."""
        return self.mock if prompt.get("video_model") else self.backend_for(prompt["branch"])

    def schedule(self, kind: str, row: Row, due: datetime) -> Job:
        """Add a job. It begins when the answer to this request has been sent."""
        job = self.store.add_job(kind, row, due)
        self.runner.notice(job)
        return job

    def keep(self, place: str, artefact: Artefact) -> str:
        """Store a file and return its key."""
        return self.files.put(place, artefact.content_type, artefact.content)

    def reset(self) -> None:
        """Delete everything but settings and snapshots; insert gallery and seed data again.

        Raises SetupError where the seed data cannot be inserted, and then nothing is deleted.
        """
        with self.store.transaction():
            setting = self.store.get("setting", 1)
            self._clear()
            self.gallery.insert_into(self.store, self.files)
            self.insert_seed_data()
            if setting:
                self.idempotency = setting["idempotency"]
        self.faults.reset()
        self.journal.reset()
        tidy_up_soon()

    def _clear(self) -> None:
        self.files.reset()
        self.store.reset()
        self.store.on_commit(lambda: self.backend.forget(None))

    def reseed(self, seed: int) -> None:
        """Derive all random choices from another seed, from now on."""
        self.config = replace(self.config, seed=seed)
        self.files.seed = self.faults.seed = seed

    def state(self) -> State:
        """Return the whole state as it is now."""
        with self.store.transaction():
            now = self.clock.now() if isinstance(self.clock, VirtualClock) else None
            state = take(self.store, self.files, seed=self.config.seed, now=now)
        # Without jobs that would do nothing: others have done their work.
        states = {(row.table, row.id): row.get("state") for row in state.rows}
        jobs = [
            job
            for job in state.jobs
            if WAITS_IN.get(job.kind) in (None, states[job.table, job.target])
        ]
        return replace(state, jobs=jobs)

    def restore(self, state: State) -> None:
        """Replace everything by a state and its seed, and set a virtual clock to its time.

        Rules of faults, their counts and the journal stay.
        """
        with self.store.transaction():
            self._clear()
            jobs = state.put(self.store, self.files)
            self.gallery.insert_into(self.store, self.files)
            if state.now and isinstance(self.clock, VirtualClock):
                # Before other threads see the jobs: none may be due early.
                self.store.on_rollback(partial(self.clock.set, self.clock.now()))
                self.clock.set(state.now)
            self.store.on_rollback(partial(self.reseed, self.config.seed))
            self.reseed(state.seed)
            self.store.on_commit(partial(self._take_up, jobs))

    def _take_up(self, jobs: list[Job]) -> None:
        for job in jobs:
            if job.lane != CALLBACKS:
                self.runner.notice(job)
        self.callbacks.resume()

    def start(self) -> None:
        """Start working, first on jobs that were left when the store was last closed."""
        self.backend.start()
        self.runner.start()
        self.callbacks.resume()
        self.heartbeat.start()
        self.sweeper.start()

    def close(self) -> None:
        """Stop claiming jobs, let running ones end, and interrupt those of a backend."""
        self.stopping.set()
        self.runner.stop()
        self.backend.close()
        self.callbacks.close()
        self.heartbeat.stop()
        self.sweeper.stop()
        self.store.close()


@dataclass(frozen=True)
class Caller:
    """The caller: the account's row id, the origin of URLs in answers, the workspace scope.

    workspace: an id, None for the personal scope, or "all".
    """

    account: int
    origin: str
    workspace: int | str | None = None
    idempotent: bool = False

    @property
    def own_workspace(self) -> int | None:
        """The workspace of new objects."""
        return self.workspace if isinstance(self.workspace, int) else None
