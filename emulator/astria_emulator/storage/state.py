"""All that a server knows at a moment: what an export holds, and a snapshot."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from astria_emulator.storage.files import Files, HeldFiles
from astria_emulator.storage.folder_files import TABLE as FILES
from astria_emulator.storage.store import Job, Row, Store

GALLERY = frozenset({"tune", "prompt", "pack"})  # tables that the gallery has rows of, too
SHOWN = ("tune", "prompt", "pack", "workspace")  # objects that callers know


@dataclass(frozen=True)
class State:
    """Rows, jobs and files, but for the gallery's, which every server plants itself.

    `now` is a virtual clock's; None where the clock is the system's. A job that was under way waits
    again; its `attempt` tells that it was begun. Rows are values: to keep a state takes no more
    than to list them.
    """

    seed: int
    now: datetime | None
    next_ids: Mapping[str, int]
    rows: Sequence[Row]
    jobs: Sequence[Job]
    files: HeldFiles

    def at(self, origin: str | None) -> "State":
        """The same on another server: addresses that are handed out begin with its origin.

        None: with that of whoever asks.
        """
        return replace(self, rows=[_moved(row, origin) for row in self.rows])

    @property
    def counts(self) -> dict[str, Any]:
        """How many objects of each kind there are, jobs and files."""
        found = Counter(row.table for row in self.rows)
        objects = {table: found[table] for table in SHOWN}
        return {"objects": objects, "jobs": len(self.jobs), "files": len(self.files.files)}

    def put(self, store: Store, files: Files) -> list[Job]:
        """Put everything into a store and files that have been reset; returns the jobs.

        To be called within a transaction. The rows are new ones, whatever their ids.
        """
        made = {}
        for row in self.rows:
            new = store.insert(row.table, row.owner, row.data, id=row.id, refs=row.refs)
            made[row.table, row.id] = new
        store.set_next_ids(self.next_ids)
        for file in self.files.files:
            files.restore(file)
        return [
            store.add_job(
                job.kind,
                made[job.table, job.target],
                job.due,
                attempt=job.attempt,
                progress=job.progress,
            )
            for job in self.jobs
        ]


def take(store: Store, files: Files, *, seed: int, now: datetime | None) -> State:
    """The state as it is now. To be called within a transaction."""
    rows: list[Row] = []
    planted: set[str] = set()
    for row in store.rows():
        if row.owner is None and row.table in GALLERY:
            planted.update(row.get("image_keys") or ())
        elif row.table != FILES:
            rows.append(row)
    uids = {(row.table, row.id): row.uid for row in rows}
    held = files.hold()
    kept = sorted((f for f in held.files if f.key not in planted), key=lambda file: file.key)
    return State(
        seed=seed,
        now=now,
        next_ids={name: id for name, id in store.next_ids().items() if name != FILES},
        rows=rows,
        # The object of one that was told to stop is gone.
        jobs=[
            replace(job, state="waiting")
            for job in store.jobs()
            if uids.get((job.table, job.target)) == job.target_uid
        ],
        files=replace(held, files=kept),
    )


def _moved(row: Row, origin: str | None) -> Row:
    return row.changed({**row.data, "origin": origin}, row.refs) if "origin" in row else row
