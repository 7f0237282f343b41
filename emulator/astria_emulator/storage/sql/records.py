"""Convert rows and jobs to records of the tables and back.

Data is JSON; times are microseconds since 1970.
"""

import json
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from astria_emulator.storage.sql.session import Record
from astria_emulator.storage.store import Job, Row, split_times

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
GALLERY = 0  # the owner of rows that have none


def row_record(row: Row) -> Record:
    plain, moments = split_times(row.data)
    times = {name: micros(value) for name, value in moments.items()}
    return {
        "kind": row.table,
        "id": row.id,
        "uid": row.uid,
        "owner": owner_number(row.owner),
        "home": row.home,
        "refs": json.dumps(row.refs),
        "data": json.dumps([plain, times], separators=(",", ":")),
    }


def read_row(kind: str, id: int, uid: int, owner: int, home: str, refs: str, data: str) -> Row:
    """Return the row of a record, whose values come in the order of the columns."""
    plain, times = json.loads(data)
    data_of_row = plain | {name: moment(value) for name, value in times.items()}
    return Row(
        table=kind,
        id=id,
        uid=uid,
        owner=None if owner == GALLERY else owner,
        data=data_of_row,
        refs=tuple(json.loads(refs)),
        home=home,
    )


def job_record(job: Job) -> Record:
    return {
        "id": job.id,
        "lane": job.lane,
        "kind": job.kind,
        "target_kind": job.table,
        "target": job.target,
        "target_uid": job.target_uid,
        "due": micros(job.due),
        "home": job.home,
        "state": job.state,
        "attempt": job.attempt,
        "progress": json.dumps(dict(job.progress)),
        "cancel": job.cancel,
        "receiver": job.receiver,
    }


def read_job(
    id: int,
    lane: str,
    kind: str,
    target_kind: str,
    target: int,
    target_uid: int,
    due: int,
    _made: int,
    home: str,
    state: str,
    attempt: int,
    _lease: int | None,
    progress: str,
    cancel: bool,
    receiver: str,
) -> Job:
    """Return the job of a record, whose values come in the order of the columns."""
    return Job(
        id=id,
        kind=kind,
        table=target_kind,
        target=target,
        target_uid=target_uid,
        due=moment(due),
        state=state,
        attempt=attempt,
        progress=json.loads(progress),
        cancel=bool(cancel),
        home=home,
        receiver=receiver,
    )


def owner_number(owner: int | None) -> int:
    return GALLERY if owner is None else owner


def ref_text(ref: int | str) -> str:
    """Return a ref as it is indexed: a text, of any length, as a digest."""
    return (
        f"#{blake2b(ref.encode(), digest_size=16).hexdigest()}"
        if isinstance(ref, str)
        else str(ref)
    )


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def moment(micros: int) -> datetime:
    return EPOCH + micros * MICROSECOND


def ref_records(row: Row | None, *, without: Row | None) -> list[Record]:
    """Return the records of a row's refs, but for those that another version of it has too."""
    if row is None:
        return []
    shared = set(without.refs) if without else set()
    return [
        {"kind": row.table, "owner": owner_number(row.owner), "id": row.id, "ref": ref}
        for ref in dict.fromkeys(ref_text(ref) for ref in row.refs if ref not in shared)
    ]


def named(record: Record) -> Record:
    """Prefix a record's names with `b_`, for statements whose parameters may not be columns."""
    return {f"b_{name}": value for name, value in record.items()}
