"""The data of the store in memory: rows with their index, jobs with their queues."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Container, Iterable
from functools import partial
from typing import Any

from astria_emulator.storage.gc_tuning import free_slowly
from astria_emulator.storage.memory_queues import Queues
from astria_emulator.storage.store import Job, Row


class Tables:
    """All rows and jobs. The store locks; nothing here does.

    A reset puts an empty one in its place, which takes constant time.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[int, Row]] = defaultdict(dict)
        # (table, owner) and (table, owner, ref) -> ids, ascending
        self.index: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        self.next_id: dict[str, int] = {}
        self.jobs: dict[int, Job] = {}
        self.jobs_of: dict[tuple[str, int], set[int]] = defaultdict(set)
        self.jobs_in: dict[str, int] = defaultdict(int)  # lane -> number of jobs
        self.queues: dict[str, Queues] = defaultdict(partial(Queues, self.jobs))  # by lane

    def free(self) -> None:
        free_slowly([*self.rows.values(), self.index, self.jobs, self.jobs_of])

    # -- rows --------------------------------------------------------------------------------------
    @staticmethod
    def _index_keys(row: Row) -> list[tuple[Any, ...]]:
        return [(row.table, row.owner), *((row.table, row.owner, ref) for ref in set(row.refs))]

    def put(self, row: Row) -> None:
        self.rows[row.table][row.id] = row
        for key in self._index_keys(row):
            insort(self.index[key], row.id)

    def drop(self, row: Row) -> None:
        del self.rows[row.table][row.id]
        self._unindex(row)

    def replace(self, old: Row, new: Row) -> None:
        if old.refs == new.refs:
            self.rows[new.table][new.id] = new
        else:
            self._unindex(old)
            self.put(new)

    def _unindex(self, row: Row) -> None:
        for key in self._index_keys(row):
            ids = self.index[key]
            position = bisect_left(ids, row.id)
            if position < len(ids) and ids[position] == row.id:
                del ids[position]
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
