"""Callbacks: each is sent at most once, in order, and logged.

A delivery is a row, and sending it is a job. Claiming the job records the attempt before anything
is sent. A job that is claimed a second time was interrupted: whether it was sent is unknown, and
it is not sent again. A tune's call ends before those of its prompts begin.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from astria_emulator.clock import Clock
from astria_emulator.domain.rows import CallbackFields, DeliveryResult, SentResult
from astria_emulator.errors import Conflict
from astria_emulator.faults.kinds import CALLBACK, faults_on
from astria_emulator.faults.rules import Faults, InjectedFault
from astria_emulator.outbound import door
from astria_emulator.outbound.outbox import TIMEOUT_SECONDS, Outbox
from astria_emulator.storage.store import CALLBACKS, Job, Key, Query, Row, Store

log = logging.getLogger(__name__)


LOG_SIZE = 1000  # deliveries
LOGGED_BYTES = 100_000  # of a body; a longer one is deleted once it has been sent
POLL_SECONDS = 0.05
LANE = (CALLBACKS,)
FAULTS = faults_on(CALLBACK)


class Callbacks:
    """Records callbacks, and sends them in order.

    notice: called with each job that is scheduled for the runner.
    """

    def __init__(self, store: Store, clock: Clock, outbox: Outbox, faults: Faults):
        self._store, self._clock, self._outbox = store, clock, outbox
        self._faults = faults
        self._ended = threading.Condition()
        self.notice: Callable[[Job], None] = lambda job: None

    def send(
        self,
        row: Row,
        url: str,
        body: Any,
        *,
        after: Collection[Key] = (),
        at: datetime | None = None,
    ) -> Row:
        """Send a row's callback once the calls for the objects in `after` have ended.

        at: when it became due; by default when the row was last changed.

        Within a transaction it is recorded as part of it, and sent after the commit.
        """
        about: CallbackFields = {
            "object": row.table,
            "object_id": row.id,
            "url": url,
            "body": body,
            "at": at or row.get("updated_at") or self._clock.now(),
        }
        with self._store.transaction():
            earlier = [
                call.id
                for key in dict.fromkeys(after)
                for call in self._store.find("delivery", Query(None, ref=_open(*key)))
            ]
            if injected := self._faults.inject_for_row(FAULTS, row):
                about["fault"] = injected.rule.fault
                return self._send_faulty(about, earlier, injected)
            return self._overtake(self._record(about, earlier))

    def _send_faulty(
        self, about: CallbackFields, earlier: Collection[int], injected: InjectedFault
    ) -> Row:
        fault = injected.rule.fault
        if fault == "callback-dropped":
            dropped: DeliveryResult = {"state": "dropped", "error": "by a fault"}
            return self._store.insert("delivery", None, {**about, **dropped})
        reordered = self._store.find("delivery", Query(None, ref=REORDERED))
        if fault == "callback-delayed" or (fault == "callback-reordered" and not reordered):
            delivery = self._record(about, [*earlier, HELD])
            if fault == "callback-reordered":
                self._store.update(delivery, {}, refs=(*delivery.refs, REORDERED))
            due = about["at"] + timedelta(seconds=injected["seconds"])
            self.notice(self._store.add_job("release_callback", delivery, due))
            return delivery
        delivery = self._overtake(self._record(about, earlier))
        if fault == "callback-doubled":
            self._record({**about, "redelivery_of": delivery.id}, [delivery.id])
        return delivery

    def _overtake(self, delivery: Row) -> Row:
        """Make a delivery that a fault holds until the next one wait for this one instead."""
        for held in self._store.find("delivery", Query(None, ref=REORDERED)):
            refs = tuple(ref for ref in held.refs if ref not in (REORDERED, _before(HELD)))
            self._store.update(held, {}, refs=(*refs, _before(delivery.id)))
            self._store.cancel_jobs(held)  # they would release it
            self._stop_waiting(delivery, held.id)
        return delivery

    def release(self, delivery_id: int) -> None:
        """Send a delivery that a fault holds."""
        with self._store.transaction():
            if delivery := self._store.get("delivery", delivery_id):
                self._stop_waiting(delivery, HELD)

    def send_again(self, delivery: Row) -> Row:
        """Send a delivery's body once more, as a new delivery.

        Raises Conflict where the body was too long to be logged.
        """
        if delivery["body"] is None:
            raise Conflict("its body was too long to be kept")
        about: CallbackFields = {
            "object": delivery["object"],
            "object_id": delivery["object_id"],
            "url": delivery["url"],
            "body": delivery["body"],
            "at": self._clock.now(),
            "redelivery_of": delivery.id,
        }
        with self._store.transaction():
            return self._record(about, ())

    def send_now(self, delivery: Row) -> Row:
        """Send a delivery that was only recorded; any other one again, as a new delivery."""
        if delivery["state"] == "recorded" and not delivery.refs:
            return self._store.update(delivery, self._post(delivery))
        return self.send_again(delivery)

    def resume(self, *, most: int | None = None) -> None:
        """Send calls that other processes, or an earlier run of this one, have left unsent.

        most: how many calls; by default as many as the outbox sends at a time.
        """
        if self._store.next_due(LANE) is not None:
            for _ in range(self._outbox.senders if most is None else most):
                self._call()

    def wait(self, seconds: float, *, objects: Collection[Key] | None = None) -> bool:
        """Wait until all calls have ended, at most so many seconds; return whether they have.

        objects: wait only for the calls for these objects that wait for no other call.
        """
        self._outbox.flush()
        deadline = time.monotonic() + seconds
        with self._ended:
            while self._is_open(objects):
                seconds_left = deadline - time.monotonic()
                if seconds_left <= 0:
                    return False
                self._ended.wait(min(seconds_left, POLL_SECONDS))
        return True

    def _is_open(self, objects: Collection[Key] | None) -> bool:
        if objects is None:
            return self._store.has_jobs(CALLBACKS)
        calls = (
            call
            for key in objects
            for call in self._store.find("delivery", Query(None, ref=_open(*key)))
        )
        return any(not _waits(call.refs) for call in calls)

    def close(self) -> None:
        """Let open calls end; a shared store keeps those that have not for the next process."""
        if not self._store.is_shared:
            self.wait(TIMEOUT_SECONDS)
        self._outbox.close()

    def _record(self, about: CallbackFields, earlier: Collection[int]) -> Row:
        recorded: DeliveryResult = {"state": "recorded"}
        refs = (_open(about["object"], about["object_id"]), *map(_before, earlier))
        delivery = self._store.insert("delivery", None, {**about, **recorded}, refs=refs)
        if not earlier:
            self._queue(delivery)
        return delivery

    def _queue(self, delivery: Row) -> None:
        self._store.add_job("send_callback", delivery, self._clock.now())
        self._store.on_commit(self._call)

    def _call(self) -> None:
        self._outbox.submit(self._send_next)

    def _send_next(self) -> None:
        try:
            if job := self._store.claim_job(LANE, None):
                try:
                    self._send(job)
                finally:
                    self._store.release_job(job)
        except Exception:
            log.exception("a callback")
        finally:
            with self._ended:
                self._ended.notify_all()

    def _send(self, job: Job) -> None:
        delivery = self._store.get("delivery", job.target)
        if delivery and delivery.uid == job.target_uid:  # its id may have been reused
            self._end(job, delivery, self._attempt(job, delivery))
        else:
            self._store.end_job(job)

    def _attempt(self, job: Job, delivery: Row) -> SentResult:
        """Send a delivery; return the fields that say how it ended."""
        kind, id = delivery["object"], delivery["object_id"]
        if job.attempt > 1:
            log.warning("callback %s %d: interrupted, and not sent again", kind, id)
            return {"state": "unknown", "error": "interrupted: it may have been sent"}
        if kind != "run" and self._store.get(kind, id) is None:
            return {"state": "dropped", "error": "the object was deleted"}
        return self._post(delivery)

    def _post(self, delivery: Row) -> SentResult:
        kind, id = delivery["object"], delivery["object_id"]
        try:
            raw = json.dumps(delivery["body"], ensure_ascii=False, separators=(",", ":")).encode()
            hang_up = delivery.get("fault") == "callback-timed-out"
            response = self._outbox.post(delivery["url"], raw, hang_up=hang_up)
        except Exception:
            log.exception("callback %s %d", kind, id)
            return {"state": "failed", "error": "unexpected error"}
        if response is None:
            return {"state": "recorded"}
        status, error = response.status, response.error
        level = logging.WARNING if error else logging.INFO
        receiver = door.host_and_path(delivery["url"])
        log.log(level, "callback %s %d to %r: %s", kind, id, receiver, error or status)
        result: SentResult = {
            "state": "failed" if error else "delivered",
            "status": status,
            "error": error,
            "seconds": round(response.seconds, 3),
        }
        if len(raw) > LOGGED_BYTES:
            result["body"] = None
        return result

    def _end(self, job: Job, delivery: Row, result: SentResult) -> None:
        """Store a result, send the deliveries that waited for it, and shorten the log."""
        store = self._store
        with store.transaction():
            store.end_job(job)
            if store.current(delivery) is None:  # those that waited for it are gone as well
                return
            store.update(delivery, result, refs=())
            for later in store.find("delivery", Query(None, ref=_before(delivery.id))):
                self._stop_waiting(later, delivery.id)
            [newest] = store.find("delivery", Query(None, limit=1)) or [delivery]
            for old in store.find("delivery", Query(None, before_id=newest.id - LOG_SIZE + 1)):
                if not old.refs:  # it has ended
                    store.delete(old)

    def _stop_waiting(self, delivery: Row, earlier: int) -> None:
        """Stop a delivery's wait for an earlier one; send it when it waits for no other."""
        if (before := _before(earlier)) not in delivery.refs:
            return
        refs = tuple(ref for ref in delivery.refs if ref not in (before, REORDERED))
        self._store.update(delivery, {}, refs=refs)
        if not _waits(refs):
            self._queue(delivery)


BEFORE = "before:"
HELD = 0  # no delivery has this id: a delivery that waits for it waits for `release`
REORDERED = "passed"  # ref of a delivery that the next one overtakes


def _open(table: str, id: int) -> str:
    """Ref of a delivery that has not ended."""
    return f"open:{table}:{id}"


def _waits(refs: Collection[int | str]) -> bool:
    """Whether a delivery waits for another one."""
    return any(str(ref).startswith(BEFORE) for ref in refs)


def _before(delivery_id: int) -> str:
    """Ref of a delivery that waits for another one."""
    return f"{BEFORE}{delivery_id}"
