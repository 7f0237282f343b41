"""The records that a handler is given: what the server is made of, and who asks."""

import importlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from astria_emulator.backend import Artefact, Backend
from astria_emulator.clock import Clock, SystemClock, VirtualClock
from astria_emulator.config import Config
from astria_emulator.domain.gallery import Catalogue, load_catalogue
from astria_emulator.errors import SetupError
from astria_emulator.faults.rules import Faults
from astria_emulator.mock.backend import MockBackend
from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.outbound.outbox import Outbox, ThreadOutbox
from astria_emulator.request.journal import Journal
from astria_emulator.spec.schemas import Compiler
from astria_emulator.storage.files import Files
from astria_emulator.storage.folder_files import FolderFiles
from astria_emulator.storage.heartbeat import Upkeep
from astria_emulator.storage.memory_files import MemoryFiles
from astria_emulator.storage.memory_store import MemoryStore
from astria_emulator.storage.refs import key_mark
from astria_emulator.storage.snapshots import Snapshots
from astria_emulator.storage.state import State, take
from astria_emulator.storage.store import CALLBACKS, Job, Query, Row, Store
from astria_emulator.work.manual_runner import ManualRunner
from astria_emulator.work.thread_runner import Runner, ThreadRunner

FAST = "fast"
BACKENDS = "astria_emulator.backends"  # the group of entry points
SHARED_SWEEP_SECONDS = 3600.0


@dataclass
class Services:
    """Everything that serves requests."""

    config: Config
    contract: Compiler
    clock: Clock
    store: Store
    files: Files
    runner: Runner
    callbacks: Callbacks
    mock: MockBackend
    backend: Backend
    catalogue: Catalogue
    upkeep: Upkeep
    faults: Faults
    journal: Journal
    snapshots: Snapshots = field(default_factory=Snapshots)
    sow: Callable[[], object] = lambda: None  # puts seed data where there is nothing yet

    @property
    def idempotency(self) -> bool:
        """Whether creation is repeat-safe where an account does not say; kept in the store."""
        switched = self.store.get("setting", 1)
        return switched["idempotency"] if switched else self.config.idempotency

    @idempotency.setter
    def idempotency(self, value: bool) -> None:
        with self.store.transaction():
            if switched := self.store.get("setting", 1):
                self.store.update(switched, {"idempotency": value})
            else:
                self.store.insert("setting", None, {"idempotency": value}, id=1)

    @property
    def is_quick(self) -> bool:
        """Whether nothing but drawing and calls of the control surface takes long."""
        config = self.config
        in_memory = not config.data and config.backend == "mock" and not config.clock
        return in_memory and not self.faults and self.assumed("fetching") == "never"

    def assumed(self, name: str) -> str:
        return self.config.assumed[name]

    def backend_for(self, branch: str) -> Backend:
        """The mock for `fast`, always, and for what the backend does not serve."""
        return self.backend if branch != FAST and self.backend.serves(branch) else self.mock

    def backend_for_prompt(self, prompt: Mapping[str, Any]) -> Backend:
        """Videos are made by partner's models: here by the mock."""
        return self.mock if prompt.get("video_model") else self.backend_for(prompt["branch"])

    def schedule(self, kind: str, row: Row, due: datetime) -> Job:
        """Note work to be done; it begins when the answer of this request has been sent."""
        job = self.store.add_job(kind, row, due)
        self.runner.notice(job)
        return job

    def keep(self, place: str, artefact: Artefact) -> str:
        """Store a file and return its key."""
        return self.files.put(place, artefact.content_type, artefact.content)

    def reset(self) -> None:
        """Forget everything but settings, snapshots, the gallery and what was sown at the start.

        Raises SetupError where that cannot be sown again, and then nothing is forgotten.
        """
        with self.store.transaction():
            switched = self.store.get("setting", 1)
            self._forget()
            self.catalogue.plant(self.store, self.files)
            self.sow()
            if switched:
                self.idempotency = switched["idempotency"]
        self.faults.reset()
        self.journal.reset()

    def _forget(self) -> None:
        self.store.reset()
        self.files.reset()
        self.store.on_commit(lambda: self.backend.forget(None))

    def reseed(self, seed: int) -> None:
        """Draw all that looks random from another seed, from now on."""
        self.config = replace(self.config, seed=seed)
        self.files.seed = self.faults.seed = seed

    def state(self) -> State:
        """All that is known now."""
        with self.store.transaction():
            now = self.clock.now() if isinstance(self.clock, VirtualClock) else None
            return take(self.store, self.files, seed=self.config.seed, now=now)

    def restore(self, state: State) -> None:
        """Forget everything, and go on from a state, with its seed; a virtual clock is set back.

        Rules of faults stay, with their counts, and so does the journal.
        """
        with self.store.transaction():
            self._forget()
            jobs = state.put(self.store, self.files)
            self.catalogue.plant(self.store, self.files)
            if state.now and isinstance(self.clock, VirtualClock):
                # Before others see the jobs, of which none may be due early.
                self.store.on_rollback(partial(self.clock.set, self.clock.now()))
                self.clock.set(state.now)
            self.store.on_rollback(partial(self.reseed, self.config.seed))
            self.reseed(state.seed)
            self.store.on_commit(partial(self._take_up, jobs))

    def _take_up(self, jobs: list[Job]) -> None:
        for job in jobs:
            if job.lane != CALLBACKS:
                self.runner.notice(job)
        self.callbacks.resume(most=sum(job.lane == CALLBACKS for job in jobs))

    def start(self) -> None:
        """Begin to work, first on what was left when the store was closed last."""
        self.backend.start()
        self.runner.start()
        self.callbacks.resume()
        self.upkeep.start()

    def close(self) -> None:
        """Stop taking up work, and let what is under way end, or a backend's wait."""
        self.runner.stop()
        self.backend.close()
        self.callbacks.close()
        self.upkeep.stop()
        self.store.close()


@dataclass(frozen=True)
class Caller:
    """Who asks: the account's row id, where URLs in answers point to, and the workspace scope.

    workspace: an id, None for the personal scope, or "all".
    """

    account: int
    origin: str
    workspace: int | str | None = None
    idempotent: bool = False

    @property
    def own_workspace(self) -> int | None:
        """Where new objects belong."""
        return self.workspace if isinstance(self.workspace, int) else None


def load_backend(config: Config, mock: MockBackend) -> Backend:
    """The mock, or what `MODULE:CLASS` or the name of an entry point makes of the settings.

    Raises SetupError.
    """
    name = config.backend
    if name == "mock":
        return mock
    known = {point.name: point for point in entry_points(group=BACKENDS)}
    module, _, attribute = name.partition(":")
    try:
        if name in known:
            kind = known[name].load()
        else:
            kind = getattr(importlib.import_module(module), attribute)
        made: Backend = kind(config)
        _ = made.pretends, made.slots, made.tries  # a backend of an earlier version has less
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        names = ", ".join(["mock", *sorted(known)])
        problem = f"{name!r}: {error}; expected one of {names}, or MODULE:CLASS"
        raise SetupError("--backend", [problem]) from error
    if config.clock and not made.pretends:
        raise SetupError("--clock", ["training takes real time: not with this backend"])
    return made


def open_store(config: Config) -> Store:
    """The store that the settings ask for.

    Raises SetupError.
    """
    if not config.data:
        if config.database:
            problem = "needs --data, a folder for files that all servers of this database share"
            raise SetupError("--database", [problem])
        return MemoryStore()
    # SQLAlchemy is loaded only where it is needed.
    from astria_emulator.storage.sql.database import Database, Postgres, Sqlite
    from astria_emulator.storage.sql.store import SqlStore

    folder = Path(config.data)
    database: Database = Postgres(config.database) if config.database else Sqlite(folder)
    return SqlStore(database)


def open_files(config: Config, store: Store) -> Files:
    """Raises SetupError."""
    if not config.data:
        return MemoryFiles(store, config.seed)
    files = FolderFiles(store, config.seed, Path(config.data) / "files")
    # What another process writes now has no row yet.
    age = SHARED_SWEEP_SECONDS if store.is_shared else 0.0
    threading.Thread(target=files.sweep, args=[time.time() - age], daemon=True).start()
    return files


def owner_of(store: Store, key: str) -> int | None:
    """The row id of a key's account; None where it was never seen."""
    found = store.find("user", Query(None, ref=key_mark(key), limit=1))
    return found[0].id if found else None


def build(
    config: Config,
    contract: Compiler,
    do: Callable[["Services", Job, datetime], None],
    *,
    outbox: Outbox | None = None,
) -> Services:
    """Put a server together that does its jobs by `do`; nothing runs before `start()`.

    Raises SetupError.
    """
    clock: Clock = VirtualClock(config.clock_start) if config.clock_start else SystemClock()
    store = open_store(config)
    mock = MockBackend(train_seconds=config.train_seconds, prompt_seconds=config.prompt_seconds)
    faults = Faults(config.seed, partial(owner_of, store))
    callbacks = Callbacks(store, clock, outbox or ThreadOutbox(config.callback_hosts), faults)

    backend = load_backend(config, mock)

    def run(job: Job, now: datetime) -> None:
        do(services, job, now)

    runner: Runner = (
        ManualRunner(store, clock, run)
        if isinstance(clock, VirtualClock)
        else ThreadRunner(store, clock, run, slots=backend.slots, interrupt=backend.close)
    )
    callbacks.notice = runner.notice
    # In memory nothing is left behind, and nobody else is at work.
    upkeep = (store.renew_claims, callbacks.resume) if config.data else ()
    services = Services(
        config=config,
        contract=contract,
        clock=clock,
        store=store,
        files=open_files(config, store),
        runner=runner,
        callbacks=callbacks,
        mock=mock,
        backend=backend,
        catalogue=load_catalogue(),
        upkeep=Upkeep(*upkeep),
        faults=faults,
        journal=Journal(),
    )
    with store.transaction():
        services.catalogue.plant(store, services.files)
    return services
