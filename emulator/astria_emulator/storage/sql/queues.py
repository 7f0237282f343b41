"""Which job of a lane is next in a database."""

from collections.abc import Container
from typing import Any

from astria_emulator.storage.sql import statements as sql
from astria_emulator.storage.sql.records import micros, read_job
from astria_emulator.storage.sql.session import Record, Session
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
    """Return the first job of the receiver whose turn it is. One job of each receiver is read."""
    for start in (turn.after, None):
        after = start
        while records := _first_after(session, lane, after):
            job = read_job(*records[0])
            if job.receiver not in turn.full:
                return job
            after = job.receiver
    return None


def _first_after(session: Session, lane: str, receiver: str | None) -> list[Any]:
    if receiver is None:
        return session.rows(sql.FIRST_RECEIVER, {"lane": lane})
    return session.rows(sql.NEXT_RECEIVER, {"lane": lane, "after": receiver})
