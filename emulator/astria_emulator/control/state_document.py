"""A state as JSON that people can read and write: `state.json` of an archive."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from astria_emulator.clock import read_time
from astria_emulator.control.state_checks import FORMAT
from astria_emulator.outbound.door import receiver_of
from astria_emulator.storage.files import File, HeldFiles
from astria_emulator.storage.own_folders import TempFolder
from astria_emulator.storage.refs import ENDED
from astria_emulator.storage.state import State
from astria_emulator.storage.store import Job, Row, split_times

MOST_ATTEMPTS = 1000  # of an imported job; a store counts on from there
UNCOUNTED = "setting"  # a table whose ids are fixed


def written(state: State, version: str) -> dict[str, Any]:
    """A state as a document. version: the emulator's."""
    tables: dict[str, list[Any]] = {}
    for row in state.rows:
        tables.setdefault(row.table, []).append(_row(row))
    return {
        "format": FORMAT,
        "emulator": version,
        "seed": state.seed,
        "clock": _time(state.now) if state.now else None,
        "next_ids": dict(sorted(state.next_ids.items())),
        "tables": tables,
        "jobs": [_job(job) for job in state.jobs],
        "files": {file.key: _file(file) for file in state.files.files},
    }


def _row(row: Row) -> dict[str, Any]:
    data, times = split_times(row.data)
    del data["id"]
    return {
        "id": row.id,
        "owner": row.owner,
        "refs": list(row.refs),
        "data": data,
        "times": {name: _time(moment) for name, moment in times.items()},
    }


def _job(job: Job) -> dict[str, Any]:
    what = {"kind": job.kind, "table": job.table, "target": job.target, "due": _time(job.due)}
    return {**what, "attempt": job.attempt, "progress": dict(job.progress)}


def _file(file: File) -> dict[str, Any]:
    if file.recipe is not None:
        return {"content_type": file.content_type, "recipe": file.recipe}
    return {"content_type": file.content_type, "bytes": file.size}


def _time(moment: datetime) -> str:
    """To the microsecond, which the wire's form leaves out."""
    return moment.isoformat().replace("+00:00", "Z")


def read(document: Mapping[str, Any], folder: TempFolder) -> State:
    """The state of a document that has been checked; `folder` has its bytes, by key."""
    rows = [
        _read_row(table, row) for table, rows in sorted(document["tables"].items()) for row in rows
    ]
    next_ids = dict(document["next_ids"])
    for row in rows:
        if row.table != UNCOUNTED:
            next_ids[row.table] = max(next_ids.get(row.table, 1), row.id + 1)
    return State(
        seed=document["seed"],
        now=read_time(document["clock"]) if document["clock"] else None,
        next_ids=next_ids,
        rows=rows,
        jobs=_read_jobs(document["jobs"], rows),
        files=HeldFiles(
            [_read_file(key, of, folder.path) for key, of in document["files"].items()], folder
        ),
    )


def _read_row(table: str, row: Mapping[str, Any]) -> Row:
    times = {name: read_time(text) for name, text in row["times"].items()}
    data = {**row["data"], **times, "id": row["id"]}
    refs = tuple(row["refs"])
    if table == "delivery" and not refs:  # version 0.1.0 wrote those that have ended so
        refs = (ENDED,)
    return Row(table, row["id"], 0, row["owner"], data, refs)


def _read_jobs(jobs: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> list[Job]:
    urls = {row.id: row["url"] for row in rows if row.table == "delivery"}
    return [
        Job(
            *(id, job["kind"], job["table"], job["target"], 0, read_time(job["due"])),
            attempt=min(job["attempt"], MOST_ATTEMPTS),
            progress=job["progress"],
            receiver=receiver_of(urls[job["target"]]) if job["kind"] == "send_callback" else "",
        )
        for id, job in enumerate(jobs, 1)
    ]


def _read_file(key: str, file: Mapping[str, Any], folder: Path) -> File:
    recipe = file.get("recipe")
    path = folder / key if recipe is None else None
    return File(key, file["content_type"], recipe=recipe, path=path)
