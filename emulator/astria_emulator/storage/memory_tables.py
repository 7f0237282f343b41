"""The data of the store in memory: rows with their index, jobs with their queues."""

from collections import defaultdict
from collections.abc import Container, Iterable
from functools import partial
from typing import Any

from astria_emulator.storage.gc_tuning import free_slowly
from astria_emulator.storage.memory_queues import Queues
from astria_emulator.storage.sorted_ids import SortedIds
from astria_emulator.storage.store import Job, Row


class Tables:
    """All rows and jobs. The store locks; nothing here does.

    A reset puts an empty one in its place, which takes constant time.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[int, Row]] = defaultdict(dict)
        # (table, owner) and (table, owner, ref) -> ids
        self.index: dict[tuple[Any, ...], SortedIds] = defaultdict(SortedIds)
        self.next_id: dict[str, int] = {}
        self.jobs: dict[int, Job] = {}
        self.jobs_of: dict[tuple[str, int], set[int]] = defaultdict(set)
        self.jobs_in: dict[str, int] = defaultdict(int)  # lane -> number of jobs
        self.queues: dict[str, Queues] = defaultdict(partial(Queues, self.jobs))  # by lane

    def free(self) -> None:
        free_slowly([*self.rows.values(), self.index, self.jobs, self.jobs_of])

    # -- rows --------------------------------------------------------------------------------------
    @staticmethod
    def _index_keys(row: Row) -> set[tuple[Any, ...]]:
        return {(row.table, row.owner), *((row.table, row.owner, ref) for ref in row.refs)}

    def put(self, row: Row) -> None:
        self.rows[row.table][row.id] = row
        self._index(row.id, self._index_keys(row))

    def drop(self, row: Row) -> None:
        del self.rows[row.table][row.id]
        self._unindex(row.id, self._index_keys(row))

    def replace(self, old: Row, new: Row) -> None:
        self.rows[new.table][new.id] = new
        if old.refs != new.refs:
            before, after = self._index_keys(old), self._index_keys(new)
            self._unindex(new.id, before - after)
            self._index(new.id, after - before)

    def _index(self, id: int, keys: Iterable[tuple[Any, ...]]) -> None:
        for key in keys:
            self.index[key].add(id)

    def _unindex(self, id: int, keys: Iterable[tuple[Any, ...]]) -> None:
        for key in keys:
            ids = self.index[key]
            ids.discard(id)
            if not ids:
                del self.index[key]

    # -- jobs --------------------------------------------------------------------------------------
    def add_job(self, job: Job) -> None:
        self.jobs[job.id] = job
        self.jobs_of[job.table, job.target].add(job.id)
        self.jobs_in[job.lane] += 1
        if job.state == "waiting":
            self.queues[job.lane].add(job)

    def remove_job(self, job: Job) -> None:
        del self.jobs[job.id]
        self.jobs_in[job.lane] -= 1
        ids = self.jobs_of[job.table, job.target]
        ids.discard(job.id)
        if not ids:
            del self.jobs_of[job.table, job.target]
        self.queues[job.lane].tidy(self.jobs_in[job.lane])

    def first_waiting(self, lanes: Iterable[str], skip: Container[Job]) -> Job | None:
        jobs = [job for lane in lanes if (job := self.queues[lane].first(skip))]
        return min(jobs, key=lambda job: (job.due, job.id), default=None)
