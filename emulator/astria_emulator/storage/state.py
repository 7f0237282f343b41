"""The whole state of a server at a moment, for exports and snapshots."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from astria_emulator.storage.files import Files, HeldFiles
from astria_emulator.storage.folder_files import TABLE as FILES
from astria_emulator.storage.store import Job, Row, Store

GALLERY = frozenset({"tune", "prompt", "pack"})  # tables that the gallery has rows of, too
SHOWN = ("tune", "prompt", "pack", "workspace")  # objects that the API shows


@dataclass(frozen=True)
class State:
    """Rows, jobs and files, without the gallery: every server inserts that itself.

    `now` is the virtual clock's time; None for the system's clock. A job that was running is
    waiting here; its `attempt` shows that it had begun. Rows are immutable, and those that do not
    change are the same objects in several states: a state costs what has changed.
    """

    seed: int
    now: datetime | None
    next_ids: Mapping[str, int]
    rows: Sequence[Row]
    jobs: Sequence[Job]
    files: HeldFiles

    def at(self, origin: str | None) -> "State":
        """Return the state for another server, whose addresses begin with its origin.

        None: with the origin of each request.
        """
        return replace(self, rows=[_with_origin(row, origin) for row in self.rows])

    def sharing(self, other: "State") -> "State":
        """Return the state with the objects of another one for files that are equal in both."""
        known = {file.key: file for file in other.files.files}
        files = [
            found if (found := known.get(file.key)) == file else file for file in self.files.files
        ]
        return replace(self, files=replace(self.files, files=files))

    @property
    def counts(self) -> dict[str, Any]:
        """The number of objects of each kind, of jobs and of files."""
        counts = Counter(row.table for row in self.rows)
        objects = {table: counts[table] for table in SHOWN}
        return {"objects": objects, "jobs": len(self.jobs), "files": len(self.files.files)}

    def put(self, store: Store, files: Files) -> list[Job]:
        """Insert everything into a store and files that were reset; return the jobs.

        Call it within a transaction. The rows have new uids.
        """
        inserted = {}
        for row in self.rows:
            new = store.insert(row.table, row.owner, row.data, id=row.id, refs=row.refs)
            inserted[row.table, row.id] = new
        store.set_next_ids(self.next_ids)
        for file in self.files.files:
            files.restore(file)
        return [
            store.add_job(
                job.kind,
                inserted[job.table, job.target],
                job.due,
                attempt=job.attempt,
                progress=job.progress,
                receiver=job.receiver,
            )
            for job in self.jobs
        ]


def take(store: Store, files: Files, *, seed: int, now: datetime | None) -> State:
    """Return the state as it is now. Call it within a transaction."""
    rows: list[Row] = []
    gallery_keys: set[str] = set()
    for row in store.rows():
        if row.owner is None and row.table in GALLERY:
            gallery_keys.update(row.get("image_keys") or ())
        elif row.table != FILES:
            rows.append(row)
    uids = {(row.table, row.id): row.uid for row in rows}
    held = files.hold()
    own_files = [file for file in held.files if file.key not in gallery_keys]
    return State(
        seed=seed,
        now=now,
        next_ids={name: id for name, id in store.next_ids().items() if name != FILES},
        rows=rows,
        # A job that was asked to stop is left out: its object is deleted.
        jobs=[
            replace(job, state="waiting")
            for job in store.jobs()
            if uids.get((job.table, job.target)) == job.target_uid
        ],
        files=replace(held, files=sorted(own_files, key=lambda file: file.key)),
    )


def _with_origin(row: Row, origin: str | None) -> Row:
    return row.changed({**row.data, "origin": origin}, row.refs) if "origin" in row else row
