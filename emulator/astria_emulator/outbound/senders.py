"""The senders of callbacks: receivers take turns, and each gets few calls at a time."""

import logging
import threading
from collections import Counter
from collections.abc import Callable

from astria_emulator.errors import log_failure
from astria_emulator.outbound.outbox import Outbox
from astria_emulator.storage.store import CALLBACKS, Job, Store, Turn

log = logging.getLogger(__name__)


class Senders:
    """Claims the jobs of callbacks and sends them, on the threads of an outbox.

    Each sender goes on until it finds no job that may be sent now. So one is needed for each call
    that becomes possible, and no more than the outbox allows.

    send: sends the callback of a claimed job, and ends the job.
    """

    def __init__(self, store: Store, outbox: Outbox, send: Callable[[Job], None]):
        self._store, self._outbox, self._send = store, outbox, send
        self._claiming = threading.Lock()  # one at a time: others would find the same job
        self._lock = threading.Lock()  # guards the fields below; the store is never called under it
        self._count = 0  # of senders
        self._wakes = 0  # number of calls of `wake`
        self._calls: Counter[str] = Counter()  # that are being sent, by receiver
        self._last: str | None = None  # the receiver that has had its turn
        self._stopping = False

    def wake(self, receiver: str) -> None:
        """Send one more call to a receiver; a sender that is at work does it if all are."""
        with self._lock:
            self._wakes += 1
            if receiver in self._full():  # a sender goes on when a call to it has ended
                return
        self._begin(self.work)

    def resume(self) -> None:
        """Send calls that nothing here was woken for, if any may be sent now."""
        if self._outbox.calls_each is None:
            found = self._store.next_due((CALLBACKS,)) is not None
        else:
            found = self._store.next_in_turn(CALLBACKS, self._turn()) is not None
        if found:
            self._begin(self._work_with_another)

    def stop(self) -> None:
        """Begin no further call."""
        self._stopping = True

    def work(self) -> None:
        """Send calls until none may be sent now."""
        while (job := self._next()) and self._do(job):
            pass

    def _work_with_another(self) -> None:
        """Send calls, and have others look for more as long as there are any."""
        if job := self._next():
            self._begin(self._work_with_another)
            if self._do(job):
                self.work()

    def _begin(self, work: Callable[[], None]) -> None:
        with self._lock:
            if self._count >= self._outbox.senders:
                return
            self._count += 1
        self._outbox.submit(work)

    def _next(self) -> Job | None:
        """Claim a job. If there is none, this sender ends."""
        job, wakes = None, -1
        while not job:
            with self._lock:
                # Whoever woke all senders while this one looked in vain relies on it.
                if self._stopping or wakes == self._wakes:
                    self._count -= 1
                    return None
                wakes = self._wakes
            try:
                job = self._claim()
            except Exception as error:  # a database that cannot be reached may come back
                log_failure(log, "looking for callbacks", error)
        return job

    def _claim(self) -> Job | None:
        with self._claiming:
            if self._outbox.calls_each is None:
                job = self._store.claim_job((CALLBACKS,), None)
            else:
                job = self._store.claim_in_turn(CALLBACKS, self._turn())
            if job:
                with self._lock:
                    self._last = job.receiver
                    self._calls[job.receiver] += 1
            return job

    def _turn(self) -> Turn:
        with self._lock:
            return Turn(self._last, self._full())

    def _full(self) -> set[str]:
        """The receivers that may get no more calls now."""
        most = self._outbox.calls_each
        if most is None:
            return set()
        if self._calls.total() >= self._outbox.senders * 3 // 4:
            most = 1  # the last senders are for receivers that get no call now
        return {receiver for receiver, calls in self._calls.items() if calls >= most}

    def _do(self, job: Job) -> bool:
        """Send a job's callback; return whether this sender should go on."""
        goes_on = True
        try:
            self._send(job)
        except Exception as error:
            log_failure(log, "a callback", error)
            goes_on = job.attempt == 1  # else it could not be given up either
        finally:
            self._store.release_job(job)
            with self._lock:
                self._calls[job.receiver] -= 1
                self._calls += Counter()  # drops what is 0
                self._count -= not goes_on
        return goes_on
