"""The waiting jobs of the store in memory, in the order in which they are claimed."""

import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Container, Mapping
from datetime import datetime

from astria_emulator.storage.store import Job, Turn

SPARE = 64  # entries of jobs that wait no longer, besides as many as there are jobs


class Queues:
    """The waiting jobs of a lane: a queue for each receiver, by (due, id).

    jobs: all jobs as they are now. Entries of jobs that have ended or run are dropped on the way.
    """

    def __init__(self, jobs: Mapping[int, Job]):
        self._jobs = jobs
        self._queues: dict[str, list[tuple[datetime, int]]] = {}
        self._receivers: list[str] = []  # that have a queue, ascending
        self._size = 0  # of all queues together

    def add(self, job: Job) -> None:
        if job.receiver not in self._queues:
            self._queues[job.receiver] = []
            insort(self._receivers, job.receiver)
        heapq.heappush(self._queues[job.receiver], (job.due, job.id))
        self._size += 1

    def tidy(self, count: int) -> None:
        """Drop entries that are of no use, if they are many beside `count` jobs of the lane."""
        if self._size <= 2 * count + SPARE:
            return
        ids = [id for queue in self._queues.values() for _, id in queue]
        self._queues, self._receivers, self._size = {}, [], 0
        for id in ids:
            if self._waits(id):
                self.add(self._jobs[id])

    def first(self, skip: Container[Job]) -> Job | None:
        """Return the first job by (due, id), those in `skip` left out."""
        jobs = [job for receiver in [*self._receivers] if (job := self._head(receiver, skip))]
        return min(jobs, key=lambda job: (job.due, job.id), default=None)

    def first_in_turn(self, turn: Turn) -> Job | None:
        """Return the first job of the receiver whose turn it is."""
        start = 0 if turn.after is None else bisect_right(self._receivers, turn.after)
        position, left = start, len(self._receivers)
        while left > 0:
            position, left = position % len(self._receivers), left - 1
            receiver = self._receivers[position]
            if receiver in turn.full:
                position += 1
            elif job := self._head(receiver):
                return job  # else its queue is gone, and the next one has its position
        return None

    def _head(self, receiver: str, skip: Container[Job] = ()) -> Job | None:
        queue, skipped, first = self._queues[receiver], [], None
        while queue and first is None:
            if not self._waits(queue[0][1]):
                heapq.heappop(queue)
                self._size -= 1
            elif (job := self._jobs[queue[0][1]]) in skip:
                skipped.append(heapq.heappop(queue))
            else:
                first = job
        for entry in skipped:
            heapq.heappush(queue, entry)
        if not queue:
            del self._queues[receiver]
            del self._receivers[bisect_left(self._receivers, receiver)]
        return first

    def _waits(self, id: int) -> bool:
        job = self._jobs.get(id)
        return job is not None and job.state == "waiting"
