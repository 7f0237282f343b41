"""Every statement that the store runs, compiled once for each database."""

from typing import Any

from sqlalchemy import bindparam, delete, insert, null, or_, select, tuple_, update

from astria_emulator.storage.sql.tables import COUNTERS, JOBS, REFS, ROWS, now

# -- rows ------------------------------------------------------------------------------------------
LIMIT: Any = bindparam("limit")
OFFSET: Any = bindparam("offset")
ALL_ROWS = select(ROWS)
GET = select(ROWS).where(ROWS.c.kind == bindparam("kind"), ROWS.c.id == bindparam("id"))


def _page(table: Any, chosen: Any) -> Any:
    """Return a statement for rows below an id, newest first."""
    return (
        chosen.where(
            table.c.kind == bindparam("kind"),
            table.c.owner == bindparam("owner"),
            table.c.id < bindparam("before"),
        )
        .order_by(table.c.id.desc())
        .limit(LIMIT)
        .offset(OFFSET)
    )


_SAME = (ROWS.c.kind == REFS.c.kind) & (ROWS.c.id == REFS.c.id)
PAGE = _page(ROWS, select(ROWS))
PAGE_OF_REF = _page(
    REFS, select(ROWS).join_from(REFS, ROWS, _SAME).where(REFS.c.ref == bindparam("ref"))
)
_ROW = (ROWS.c.kind == bindparam("b_kind"), ROWS.c.id == bindparam("b_id"))
DELETE_ROW = delete(ROWS).where(*_ROW)
UPDATE_ROW = update(ROWS).where(*_ROW).values(refs=bindparam("b_refs"), data=bindparam("b_data"))
DELETE_REF = delete(REFS).where(*(column == bindparam(f"b_{column.name}") for column in REFS.c))
UPDATE_COUNTER = (
    update(COUNTERS)
    .where(COUNTERS.c.name == bindparam("b_name"))
    .values(value=bindparam("b_value"))
)
INSERT_ROW, INSERT_REF, INSERT_COUNTER = map(insert, (ROWS, REFS, COUNTERS))
COUNTERS_NOW = select(COUNTERS.c.name, COUNTERS.c.value)
FORGET = (*map(delete, (ROWS, REFS, JOBS)), delete(COUNTERS).where(COUNTERS.c.name != "schema"))

# -- jobs ------------------------------------------------------------------------------------------
_COLUMNS = [column.name for column in JOBS.c if column.name not in ("made", "lease")]
INSERT_JOB = insert(JOBS).values({name: bindparam(name) for name in _COLUMNS} | {"made": now()})
# What lies further ahead than this was written before the database's clock was set back. It is
# longer than a lease, and than a process keeps its jobs for itself.
AHEAD_MICROS = 20_000_000
_FREE = or_(  # not claimed, or the lease has run out
    JOBS.c.state == "waiting", JOBS.c.lease < now(), JOBS.c.lease > now() + AHEAD_MICROS
)
# At start: a job that was made later than now waits as long as it was to wait then.
SHIFT_JOBS = (
    update(JOBS)
    .where(JOBS.c.made > now())
    .values(due=JOBS.c.due - (JOBS.c.made - now()), made=now())
)
FIRST_JOBS = (
    select(JOBS)
    .where(
        JOBS.c.lane == bindparam("lane"),
        JOBS.c.due <= bindparam("due"),
        tuple_(JOBS.c.due, JOBS.c.id) > tuple_(bindparam("after_due"), bindparam("after_id")),
        _FREE,
        or_(
            JOBS.c.home == bindparam("home"),
            JOBS.c.made < now() - bindparam("kept"),
            JOBS.c.made > now() + AHEAD_MICROS,
        ),
    )
    .order_by(JOBS.c.due, JOBS.c.id)
    .limit(LIMIT)
)
# The first job of the first receiver, and of the next one. Any process may claim it at once: unlike
# other work, a callback begins after the answer to the request that caused it.
FIRST_RECEIVER = (
    select(JOBS)
    .where(JOBS.c.lane == bindparam("lane"), _FREE)
    .order_by(JOBS.c.receiver, JOBS.c.due, JOBS.c.id)
    .limit(1)
)
NEXT_RECEIVER = FIRST_RECEIVER.where(JOBS.c.receiver > bindparam("after"))
ANY_JOB = select(JOBS.c.id).where(JOBS.c.lane == bindparam("of_lane")).limit(1)
JOBS_BY_DUE = select(JOBS).order_by(JOBS.c.due, JOBS.c.id).limit(LIMIT)
_CLAIM = (JOBS.c.id == bindparam("of_job"), JOBS.c.attempt == bindparam("of_attempt"))
_OF_TARGET = (JOBS.c.target_kind == bindparam("of_kind"), JOBS.c.target == bindparam("of"))
_WAITING, _RUNNING = JOBS.c.state == "waiting", JOBS.c.state == "running"
CLAIM = (
    update(JOBS)
    .where(*_CLAIM, _FREE)
    .values(
        state="running",
        attempt=JOBS.c.attempt + 1,
        home=bindparam("new_home"),
        lease=now() + bindparam("term"),
    )
)
END_JOB = delete(JOBS).where(*_CLAIM)
REPORT = (
    update(JOBS)
    .where(*_CLAIM, _RUNNING, JOBS.c.cancel.is_(False))
    .values(progress=bindparam("new_progress"))
)
DELETE_WAITING = delete(JOBS).where(*_OF_TARGET, _WAITING)
CANCEL_RUNNING = update(JOBS).where(*_OF_TARGET, _RUNNING).values(cancel=True)
RENEW = update(JOBS).where(*_CLAIM, _RUNNING).values(lease=now() + bindparam("term"))
RELEASE = update(JOBS).where(*_CLAIM, _RUNNING).values(state="waiting", lease=null())
