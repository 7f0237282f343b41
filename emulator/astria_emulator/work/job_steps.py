"""Steps that training and generation share: take a job's object on, hand work to a backend."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from astria_emulator.backend import Backend, Report
from astria_emulator.domain.lifecycle import LONGEST_SECONDS, step
from astria_emulator.errors import BackendError
from astria_emulator.services import Services
from astria_emulator.storage.store import Job, Row

# A kind of work -> the same on a slot of the backend.
ON_SLOT = {"train_tune": "train_on_slot", "generate_prompt": "generate_on_slot"}
NOTICED = timedelta(seconds=2)


class Gone(LookupError):
    """The object was deleted, or the job is not ours any more."""


def target(services: Services, job: Job) -> Row:
    """A job's object as it is now.

    Raises Gone.
    """
    row = services.store.get(job.table, job.target)
    if row is None or row.uid != job.target_uid:
        raise Gone("the object is gone")
    return row


def advance(services: Services, job: Job, event: str, now: datetime, **more: Any) -> Row:
    """Take a job's object one step on, and end the job with it.

    To be called within a transaction. Raises Gone and IllegalStep, and then nothing has changed.
    """
    row = target(services, job)
    changes = step(row.table, row, event, now) | more
    end(services, job)
    return services.store.update(row, changes)


def end(services: Services, job: Job) -> None:
    """End a job within the transaction that keeps its effect.

    Raises Gone where it has been taken over, or a reset has forgotten it.
    """
    if not services.store.end_job(job):
        raise Gone("the job is another's")


def late(services: Services, fault: str, row: Row) -> float:
    """Seconds more that a fault makes work take."""
    struck = services.faults.inject_for_row({fault}, row)
    return float(struck["seconds"]) if struck else 0.0


def fail_by_fault(services: Services, fault: str, row: Row) -> None:
    """Raises BackendError where a fault strikes an object."""
    if struck := services.faults.inject_for_row({fault}, row):
        raise BackendError(struck["message"])


def hand_over(
    services: Services, kind: str, row: Row, now: datetime, backend: Backend, seconds: float
) -> None:
    """Schedule a backend's work: on a slot, or once the time has passed that it seems to take."""
    if backend.pretends:
        services.schedule(kind, row, now + timedelta(seconds=seconds))
    else:
        services.schedule(ON_SLOT[kind], row, now)


def report_of(services: Services, job: Job) -> Report:
    """What a backend calls with its progress: it is kept, and moves a tune's `eta`."""
    before = {"lost": job.progress["lost"]} if "lost" in job.progress else {}

    def report(progress: Mapping[str, Any]) -> bool:
        if not services.store.report(job, {**progress, **before}):
            return False
        if job.table == "tune" and "seconds_left" in progress:
            left = timedelta(seconds=min(progress["seconds_left"], LONGEST_SECONDS))
            move_eta(services, job, services.clock.now() + left)
        return True

    return report


def move_eta(services: Services, job: Job, eta: datetime) -> None:
    """Tell a tune's end anew, where that differs by more than it takes to look."""
    try:
        with services.store.transaction():
            row = target(services, job)
            if abs(row["eta"] - eta) > NOTICED:
                services.store.update(row, {"eta": eta})
    except Gone:
        return
