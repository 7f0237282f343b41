"""How rows and jobs stand in the tables: data as JSON, times as microseconds since 1970."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from astria_emulator.storage.sql.database import Record
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
    """A row from a record, whose values stand in this order."""
    plain, times = json.loads(data)
    data_of_row = plain | {name: moment(value) for name, value in times.items()}
    of = None if owner == GALLERY else owner
    return Row(kind, id, uid, of, data_of_row, tuple(json.loads(refs)), home=home)


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
) -> Job:
    """A job from a record, whose values stand in this order."""
    return Job(
        id,
        kind,
        target_kind,
        target,
        target_uid,
        moment(due),
        state,
        attempt,
        progress=json.loads(progress),
        cancel=bool(cancel),
        home=home,
    )


def owner_number(owner: int | None) -> int:
    return GALLERY if owner is None else owner


def ref_text(ref: int | str) -> str:
    """A reference as it is indexed: texts of any length and kind by a digest."""
    return (
        f"#{blake2b(ref.encode(), digest_size=16).hexdigest()}"
        if isinstance(ref, str)
        else str(ref)
    )


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def moment(micros: int) -> datetime:
    return EPOCH + micros * MICROSECOND


def ref_records(row: Row) -> list[Record]:
    of = {"kind": row.table, "owner": owner_number(row.owner), "id": row.id}
    return [{**of, "ref": ref} for ref in dict.fromkeys(map(ref_text, row.refs))]


def named(record: Record) -> Record:
    """A record as parameters of a statement that also has columns of these names."""
    return {f"b_{name}": value for name, value in record.items()}
