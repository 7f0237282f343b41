"""Build a server from its settings: store, files, backend, runner and callbacks."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import resolve_name

from astria_emulator.backend import Backend, Sweeps
from astria_emulator.clock import VirtualClock
from astria_emulator.config import Config
from astria_emulator.domain.gallery import load_gallery
from astria_emulator.errors import SetupError
from astria_emulator.faults.rules import Faults
from astria_emulator.mock.backend import MockBackend
from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.outbound.outbox import Outbox, ThreadOutbox
from astria_emulator.request.journal import Journal
from astria_emulator.services import Runner, Services
from astria_emulator.spec.schemas import Compiler
from astria_emulator.storage.files import Files
from astria_emulator.storage.folder_files import FolderFiles
from astria_emulator.storage.heartbeat import Heartbeat
from astria_emulator.storage.memory_files import MemoryFiles
from astria_emulator.storage.memory_store import MemoryStore
from astria_emulator.storage.refs import key_ref
from astria_emulator.storage.store import Job, Query, Store
from astria_emulator.work.manual_runner import ManualRunner
from astria_emulator.work.thread_runner import ThreadRunner

BACKENDS = "astria_emulator.backends"  # the group of entry points
SWEEP_SECONDS = 600.0  # between two searches for what servers that were killed have left


def load_backend(config: Config, mock: MockBackend) -> Backend:
    """Return the mock, or the backend of `MODULE:CLASS` or of an entry point.

    Raises SetupError.
    """
    name = config.backend
    if name == "mock":
        return mock
    points = {point.name: point for point in entry_points(group=BACKENDS)}
    # A name without a colon is read as a module's: the last part of it is no attribute.
    path = name if ":" in name else f"{name}:"
    try:
        kind = points[name].load() if name in points else resolve_name(path)
        backend: Backend = kind(config)
        # A backend for an earlier version may lack these.
        _ = backend.pretends, backend.slots, backend.tries
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        names = ", ".join(["mock", *sorted(points)])
        problem = f"{name!r}: {error}; expected one of {names}, or MODULE:CLASS"
        raise SetupError("--backend", [problem]) from error
    if config.clock and not backend.pretends:
        raise SetupError("--clock", ["training takes real time: not with this backend"])
    return backend


def open_store(config: Config) -> Store:
    """Open the store of the settings.

    Raises SetupError.
    """
    if not config.data:
        if config.database:
            problem = "needs --data, a folder for files that all servers of this database share"
            raise SetupError("--database", [problem])
        return MemoryStore()
    # SQLAlchemy is loaded only where it is needed.
    from astria_emulator.storage.sql.database import Database
    from astria_emulator.storage.sql.postgres import Postgres
    from astria_emulator.storage.sql.sqlite import Sqlite
    from astria_emulator.storage.sql.store import SqlStore

    folder = Path(config.data)
    database: Database = Postgres(config.database) if config.database else Sqlite(folder)
    return SqlStore(database)


def open_files(config: Config, store: Store) -> Files:
    """Open the files of the settings.

    Raises SetupError.
    """
    if not config.data:
        return MemoryFiles(store, config.seed)
    return FolderFiles(store, config.seed, Path(config.data) / "files")


def is_training(store: Store, tune_id: int, uid: int) -> bool:
    """Whether a tune is there and not trained yet. `uid` tells it from one of the same id."""
    row = store.get("tune", tune_id)
    return row is not None and row.uid == uid and row["state"] in ("queued", "training")


def owner_of(store: Store, key: str) -> int | None:
    """Return the row id of a key's account; None when it has none yet."""
    rows = store.find("user", Query(None, ref=key_ref(key), limit=1))
    return rows[0].id if rows else None


def build(
    config: Config,
    contract: Compiler,
    run_job: Callable[["Services", Job, datetime], None],
    *,
    outbox: Outbox | None = None,
) -> Services:
    """Build a server. Jobs are run by `run_job`; nothing runs before `start()`.

    Raises SetupError.
    """
    store = open_store(config)
    clock = VirtualClock(config.clock_start) if config.clock_start else store.clock
    mock = MockBackend(train_seconds=config.train_seconds, prompt_seconds=config.prompt_seconds)
    faults = Faults(config.seed, partial(owner_of, store))
    callbacks = Callbacks(store, clock, outbox or ThreadOutbox(config.callback_hosts), faults)

    backend = load_backend(config, mock)

    def run(job: Job, now: datetime) -> None:
        run_job(services, job, now)

    runner: Runner = (
        ManualRunner(store, clock, run)
        if isinstance(clock, VirtualClock)
        else ThreadRunner(store, clock, run, slots=backend.slots, interrupt=backend.close)
    )
    callbacks.notice = runner.notice
    # A store in memory has no leases, and no callbacks of an earlier process.
    heartbeat = (store.renew_claims, callbacks.resume) if config.data else ()
    files = open_files(config, store)
    sweeps: list[Callable[[], object]] = []
    if isinstance(files, FolderFiles):
        sweeps.append(files.sweep)
    if isinstance(backend, Sweeps):
        sweeps.append(partial(backend.sweep, partial(is_training, store)))
    services = Services(
        config=config,
        contract=contract,
        clock=clock,
        store=store,
        files=files,
        runner=runner,
        callbacks=callbacks,
        mock=mock,
        backend=backend,
        gallery=load_gallery(),
        heartbeat=Heartbeat(*heartbeat),
        sweeper=Heartbeat(*sweeps, seconds=SWEEP_SECONDS, at_once=True),
        faults=faults,
        journal=Journal(),
    )
    with store.transaction():
        services.gallery.insert_into(store, services.files)
    return services
