"""The records that a handler is given: what the server is made of, and who asks."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from emulator.backend import Artefact, Backend
from emulator.callbacks import Callbacks
from emulator.clock import Clock, SystemClock, VirtualClock
from emulator.config import Config
from emulator.errors import SetupError
from emulator.files import Files, MemoryFiles
from emulator.memory_store import MemoryStore
from emulator.mock import MockBackend
from emulator.runner import ManualRunner, Runner, ThreadRunner
from emulator.schemas import Compiler
from emulator.seed import Catalogue, load_catalogue
from emulator.store import Job, Row, Store

FAST = "fast"


@dataclass
class Services:
    """Everything that serves requests. `idempotency` may be switched while the server runs."""

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
    idempotency: bool = False

    def assumed(self, name: str) -> str:
        return self.config.assumed[name]

    def backend_for(self, branch: str) -> Backend:
        """The mock for `fast`, always."""
        return self.mock if branch == FAST else self.backend

    def schedule(self, kind: str, row: Row, due: datetime) -> Job:
        """Note work to be done; it begins when the answer of this request has been sent."""
        job = self.store.add_job(kind, row, due)
        self.runner.notice(job)
        return job

    def keep(self, place: str, artefact: Artefact) -> str:
        """Store a file and return its key; a transaction that fails takes it back."""
        key = self.files.put(place, artefact.content_type, artefact.content)
        self.store.on_rollback(lambda: self.files.delete([key]))
        return key

    def reset(self) -> None:
        """Forget everything but settings and the gallery."""
        with self.store.transaction():
            self.store.reset()
            self.files.reset()
            self.catalogue.plant(self.store, self.files)

    def close(self) -> None:
        """Stop taking up work, and let what is under way end."""
        self.runner.stop()
        self.callbacks.close()


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


def load_backend(name: str, mock: MockBackend) -> Backend:
    """The mock, or an instance of `MODULE:CLASS`.

    Raises SetupError.
    """
    if name == "mock":
        return mock
    module, _, attribute = name.partition(":")
    try:
        made: Backend = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise SetupError(
            "--backend", [f"{name!r}: {error}; expected mock or MODULE:CLASS"]
        ) from error
    return made


def build(
    config: Config, contract: Compiler, do: Callable[["Services", Job, datetime], None]
) -> Services:
    """Put a server together that does its jobs by `do`; nothing runs before `runner.start()`."""
    clock: Clock = VirtualClock(config.clock_start) if config.clock_start else SystemClock()
    store = MemoryStore()
    mock = MockBackend(train_seconds=config.train_seconds, prompt_seconds=config.prompt_seconds)

    def run(job: Job, now: datetime) -> None:
        do(services, job, now)

    runner: Runner = (
        ManualRunner(store, clock, run)
        if isinstance(clock, VirtualClock)
        else ThreadRunner(store, clock, run)
    )
    services = Services(
        config=config,
        contract=contract,
        clock=clock,
        store=store,
        files=MemoryFiles(config.seed),
        runner=runner,
        callbacks=Callbacks(store, clock, allowed_hosts=config.callback_hosts),
        mock=mock,
        backend=load_backend(config.backend, mock),
        catalogue=load_catalogue(),
        idempotency=config.idempotency,
    )
    services.reset()
    return services
