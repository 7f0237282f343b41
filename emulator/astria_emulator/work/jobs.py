"""The job engine: it does the jobs of tunes and prompts, and fails their objects.

Every step reads its object again within a transaction: it may have changed while a backend worked.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from astria_emulator.domain.lifecycle import IllegalStep
from astria_emulator.errors import (
    BackendError,
    Cancelled,
    Closing,
    DiskUnavailable,
    NotFound,
    Unavailable,
    WorkLost,
)
from astria_emulator.services import Services
from astria_emulator.storage.store import Job
from astria_emulator.work.generation import end_prompt, end_run, generate_prompt, start_prompt
from astria_emulator.work.job_steps import ON_SLOT, RETRY_SECONDS, Gone, advance, target
from astria_emulator.work.training import expire_tune, release_waiting, start_tune, train_tune

log = logging.getLogger(__name__)

FAILED = "Something went wrong on our side. Please try again."


def run(services: Services, job: Job, now: datetime) -> None:
    """Do a job. A job whose object is gone, or in another state by now, does nothing.

    The job ends in the transaction that stores its effect, so that neither is ever without the
    other. It is done again after a failure of the database, or when its work was lost.
    """
    retry_at = None
    try:
        attempt(services, job, now)
        services.store.end_job(job)
    except (Unavailable, DiskUnavailable) as error:
        retry_at = services.clock.now() + timedelta(seconds=RETRY_SECONDS)
        log.warning("%s of %s %d: waits: %s", job.kind, job.table, job.target, error)
    except WorkLost as error:
        log.warning("%s of %s %d: to be done again: %s", job.kind, job.table, job.target, error)
    finally:
        services.store.release_job(job, due=retry_at)


def attempt(services: Services, job: Job, now: datetime) -> None:
    """Do a job, or fail its object.

    Raises Unavailable and WorkLost where the job is to be done again.
    """
    try:
        KINDS[job.kind](services, job, now)
    except (Unavailable, DiskUnavailable, Closing):
        raise
    except WorkLost as error:
        lost = job.progress.get("lost", 0) + 1
        if lost < services.backend.tries:
            services.store.report(job, {"phase": "lost", "lost": lost})
            raise
        fail(services, job, str(error), now)
    except (Gone, IllegalStep, Cancelled) as error:
        log.debug("%s of %s %d: %s", job.kind, job.table, job.target, error)
        if job.kind == ON_SLOT["train_tune"] and services.store.get("tune", job.target) is None:
            services.backend.forget(job.target)  # it may have stored files meanwhile
    except BackendError as error:
        fail(services, job, str(error), now)
    except NotFound:
        fail(services, job, "A file that this needs is gone.", now)
    except Exception:
        log.exception("%s of %s %d", job.kind, job.table, job.target)
        fail(services, job, FAILED, now)


def fail(services: Services, job: Job, reason: str, now: datetime) -> None:
    """End an object without a result.

    The reason is stored with it, shown under /_emulator/ and logged.
    """
    field = "user_error" if job.table == "prompt" else "failure"
    try:
        with services.store.transaction():
            row = advance(services, job, "fail", now, **{field: reason})
            if row.table == "tune":
                release_waiting(services, row, now)
                services.store.on_commit(lambda: services.backend.forget(row.id))
            else:
                end_prompt(services, row)
    except (Gone, IllegalStep):
        return
    log.warning("%s %d failed: %s", job.table, job.target, reason)


def release_callback(services: Services, job: Job, now: datetime) -> None:
    services.callbacks.release(target(services, job).id)


KINDS: Mapping[str, Callable[[Services, Job, datetime], None]] = {
    "start_tune": start_tune,
    "train_tune": train_tune,
    "train_on_slot": train_tune,
    "expire_tune": expire_tune,
    "start_prompt": start_prompt,
    "generate_prompt": generate_prompt,
    "generate_on_slot": generate_prompt,
    "end_run": end_run,
    "release_callback": release_callback,
}
