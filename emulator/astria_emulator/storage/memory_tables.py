"""The data of the store in memory: rows with their index, jobs with their queues."""

import heapq
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Container, Iterable
from datetime import datetime
from typing import Any

from astria_emulator.storage.gc_tuning import free_slowly
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
        self.queues: dict[str, list[tuple[datetime, int]]] = defaultdict(list)  # by lane

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
            heapq.heappush(self.queues[job.lane], (job.due, job.id))

    def remove_job(self, job: Job) -> None:
        del self.jobs[job.id]
        self.jobs_in[job.lane] -= 1
        ids = self.jobs_of[job.table, job.target]
        ids.discard(job.id)
        if not ids:
            del self.jobs_of[job.table, job.target]
        queue = self.queues[job.lane]
        if len(queue) > 2 * self.jobs_in[job.lane] + 64:
            jobs = (self.jobs.get(id) for _, id in queue)
            queue[:] = [(job.due, job.id) for job in jobs if job and job.state == "waiting"]
            heapq.heapify(queue)

    def first_waiting(self, lanes: Iterable[str], skip: Container[Job]) -> Job | None:
        jobs = [job for lane in lanes if (job := self._first_in_lane(lane, skip))]
        return min(jobs, key=lambda job: (job.due, job.id), default=None)

    def _first_in_lane(self, lane: str, skip: Container[Job]) -> Job | None:
        """Drop entries of jobs that have ended or run from the queue on the way."""
        queue, skipped, first = self.queues[lane], [], None
        while queue and first is None:
            job = self.jobs.get(queue[0][1])
            if job is None or job.state != "waiting":
                heapq.heappop(queue)
            elif job in skip:
                skipped.append(heapq.heappop(queue))
            else:
                first = job
        for entry in skipped:
            heapq.heappush(queue, entry)
        return first
