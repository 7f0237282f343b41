"""Steps that training and generation share: change an object's state, schedule backend work."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from astria_emulator.backend import Backend, Report
from astria_emulator.domain.lifecycle import LONGEST_SECONDS, step
from astria_emulator.errors import BackendError, Closing, Unavailable
from astria_emulator.services import Services
from astria_emulator.storage.store import Job, Row

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0  # until work is tried again that waits for the disk or the database
# Kind of a job -> kind of the same job on a slot of the backend.
ON_SLOT = {"train_tune": "train_on_slot", "generate_prompt": "generate_on_slot"}
ETA_TOLERANCE = timedelta(seconds=2)  # smaller changes are not stored


class Gone(LookupError):
    """The object was deleted, or another process has taken over the job."""


def target(services: Services, job: Job) -> Row:
    """Return a job's object as it is now.

    Raises Gone.
    """
    row = services.store.get(job.table, job.target)
    if row is None or row.uid != job.target_uid:
        raise Gone("the object is gone")
    return row


def advance(services: Services, job: Job, event: str, now: datetime, **changes: Any) -> Row:
    """Apply an event of the life cycle to a job's object, with more changes, and end the job.

    To be called within a transaction. Raises Gone and IllegalStep; nothing has changed then.
    """
    row = target(services, job)
    changes = step(row.table, row, event, now) | changes
    end(services, job)
    return services.store.update(row, changes)


def end(services: Services, job: Job) -> None:
    """End a job within the transaction that stores its effect.

    Raises Gone where another process has taken it over, or a reset has removed it.
    """
    if not services.store.end_job(job):
        raise Gone("the job is another's")


def fault_delay(services: Services, fault: str, row: Row) -> float:
    """Return the seconds by which an injected fault prolongs work."""
    injected = services.faults.inject_for_row({fault}, row)
    return float(injected["seconds"]) if injected else 0.0


def fail_by_fault(services: Services, fault: str, row: Row) -> None:
    """Raises BackendError where a fault is injected into an object's work."""
    if injected := services.faults.inject_for_row({fault}, row):
        raise BackendError(injected["message"])


def schedule_work(
    services: Services, kind: str, row: Row, now: datetime, *, backend: Backend, seconds: float
) -> None:
    """Schedule a backend's work: on a slot, or `seconds` later for a backend that pretends."""
    if backend.pretends:
        services.schedule(kind, row, now + timedelta(seconds=seconds))
    else:
        services.schedule(ON_SLOT[kind], row, now)


def store_result(services: Services, backend: Backend, store: Callable[[], None]) -> None:
    """Store what a backend has made, by a function that may raise Unavailable.

    The result of real work is kept until the disk and the database take it. Raises Closing when the
    server stops before that.
    """
    while True:
        try:
            return store()
        except Unavailable:
            if backend.pretends:
                raise
            log.warning("the result of work is kept, and stored when that is possible")
            if services.stopping.wait(RETRY_SECONDS):
                raise Closing("the server stops") from None


def report_of(services: Services, job: Job) -> Report:
    """Return the function that a backend calls with its progress.

    Progress is stored with the job, and moves a tune's `eta`.
    """
    lost = {"lost": job.progress["lost"]} if "lost" in job.progress else {}

    def report(progress: Mapping[str, Any]) -> bool:
        if not services.store.report(job, {**progress, **lost}):
            return False
        if job.table == "tune" and "seconds_left" in progress:
            remaining = timedelta(seconds=min(progress["seconds_left"], LONGEST_SECONDS))
            move_eta(services, job, services.clock.now() + remaining)
        return True

    return report


def move_eta(services: Services, job: Job, eta: datetime) -> None:
    """Store a tune's new `eta`, unless it has hardly changed."""
    try:
        with services.store.transaction():
            row = target(services, job)
            if abs(row["eta"] - eta) > ETA_TOLERANCE:
                services.store.update(row, {"eta": eta})
    except Gone:
        return
