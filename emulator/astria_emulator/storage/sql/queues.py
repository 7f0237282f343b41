"""Which job of a lane is next in a database."""

from collections.abc import Container

from astria_emulator.storage.sql import statements as sql
from astria_emulator.storage.sql.database import Record, Session
from astria_emulator.storage.sql.records import micros, read_job
from astria_emulator.storage.store import Job, Turn

BATCH = 200  # jobs that are read at a time to search them
FIRST_BATCH = 4  # that are read first: usually one of them may be claimed
SMALLEST = -(2**63)  # of a column


def first_in_lane(session: Session, params: Record, skip: Container[Job]) -> Job | None:
    """Return the first job by (due, id), those in `skip` left out.

    params: of the statement, without the place to begin at.
    """
    after, limit = (SMALLEST, SMALLEST), FIRST_BATCH
    while True:
        place = {"after_due": after[0], "after_id": after[1], "limit": limit}
        jobs = [read_job(*record) for record in session.rows(sql.FIRST_JOBS, params | place)]
        for job in jobs:
            if job not in skip:
                return job
        if len(jobs) < limit:
            return None
        after, limit = (micros(jobs[-1].due), jobs[-1].id), BATCH


def first_in_turn(session: Session, lane: str, turn: Turn) -> Job | None:
    """Return the first job of the receiver whose turn it is. A look reads one job."""
    passed: set[str] = set()
    after, is_first_round = turn.after, turn.after is not None
    while True:
        statement = sql.FIRST_RECEIVER if after is None else sql.NEXT_RECEIVER
        params = {"lane": lane} if after is None else {"lane": lane, "after": after}
        records = session.rows(statement, params)
        job = read_job(*records[0]) if records else None
        if job and job.receiver not in turn.full:
            return job
        if job and job.receiver not in passed:
            passed.add(job.receiver)
            after = job.receiver
        elif is_first_round:
            after, is_first_round = None, False
        else:
            return None
