"""Callbacks: each is sent at most once, in order, and logged.

A delivery is a row, and sending it is a job. Claiming the job records the attempt before anything
is sent. A job that is claimed a second time was interrupted: whether it was sent is unknown, and
it is not sent again. A tune's call ends before those of its prompts begin.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from astria_emulator.clock import Clock
from astria_emulator.domain.rows import CallbackFields, DeliveryResult, SentResult
from astria_emulator.errors import Conflict
from astria_emulator.faults.kinds import CALLBACK, faults_on
from astria_emulator.faults.rules import Faults, InjectedFault
from astria_emulator.outbound import door
from astria_emulator.outbound.delivery_log import (
    HELD,
    REORDERED,
    DeliveryLog,
    before_ref,
    has_ended,
    open_ref,
    waits,
)
from astria_emulator.outbound.outbox import TIMEOUT_SECONDS, Outbox
from astria_emulator.outbound.senders import Senders
from astria_emulator.storage.store import CALLBACKS, Job, Key, Row, Store

log = logging.getLogger(__name__)

LOGGED_BYTES = 100_000  # of a body; a longer one is deleted once it has been sent
POLL_SECONDS = 0.05
RELEASED_AT_ONCE = 100  # deliveries that waited for one, in a transaction
FAULTS = faults_on(CALLBACK)


class Callbacks:
    """Records callbacks, and sends them in order.

    notice: called with each job that is scheduled for the runner.
    """

    def __init__(self, store: Store, clock: Clock, outbox: Outbox, faults: Faults):
        self._store, self._clock, self._outbox = store, clock, outbox
        self._faults = faults
        self._log = DeliveryLog(store)
        self._senders = Senders(store, outbox, self._send)
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
                call.id for key in dict.fromkeys(after) for call in self._log.find(open_ref(*key))
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
            return self._log.insert(about, dropped)
        reordered = self._log.find(REORDERED)
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
        for held in self._log.find(REORDERED):
            refs = tuple(ref for ref in held.refs if ref not in (REORDERED, before_ref(HELD)))
            self._store.update(held, {}, refs=(*refs, before_ref(delivery.id)))
            self._store.cancel_jobs(held)  # they would release it
            self._stop_waiting(delivery, held.id)
        return delivery

    def release(self, delivery_id: int) -> None:
        """Send a delivery that a fault holds."""
        with self._store.transaction():
            if delivery := self._log.get(delivery_id):
                self._stop_waiting(delivery, HELD)

    def send_again(self, delivery: Row) -> Row:
        """Send a delivery's body once more, as a new delivery. No other call waits for it.

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
            return self._record(about, (), ref=open_ref("delivery", delivery.id))

    def send_now(self, delivery: Row) -> Row:
        """Send a delivery that was only recorded; any other one again, as a new delivery."""
        if delivery["state"] == "recorded" and has_ended(delivery):
            return self._store.update(delivery, self._post(delivery))
        return self.send_again(delivery)

    def newest(self) -> list[Row]:
        """Return the last 1,000 deliveries and the last 1,000 that have ended, newest first."""
        return self._log.newest()

    def resume(self) -> None:
        """Send calls that other processes, or an earlier run of this one, have left unsent."""
        self._senders.resume()

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
        calls = (call for key in objects for call in self._log.find(open_ref(*key)))
        return any(not waits(call.refs) for call in calls)

    def close(self) -> None:
        """Let open calls end; a shared store keeps those that have not for the next process."""
        if not self._store.is_shared:
            self.wait(TIMEOUT_SECONDS)
        self._senders.stop()
        self._outbox.close()

    def _record(self, about: CallbackFields, earlier: Collection[int], *, ref: str = "") -> Row:
        """Insert a delivery that waits for earlier ones.

        ref: by which it is found until it has ended, if not by its object.
        """
        open_by = ref or open_ref(about["object"], about["object_id"])
        recorded: DeliveryResult = {"state": "recorded"}
        delivery = self._log.insert(about, recorded, (open_by, *map(before_ref, earlier)))
        if not earlier:
            self._queue(delivery)
        return delivery

    def _queue(self, delivery: Row) -> None:
        receiver = door.receiver_of(delivery["url"])
        self._store.add_job("send_callback", delivery, self._clock.now(), receiver=receiver)
        self._store.on_commit(partial(self._senders.wake, receiver))

    def _send(self, job: Job) -> None:
        try:
            delivery = self._log.get(job.target)
            if delivery and delivery.uid == job.target_uid:  # its id may have been reused
                self._end(job, delivery, self._attempt(job, delivery))
            else:
                self._store.end_job(job)
        finally:
            with self._ended:
                self._ended.notify_all()

    def _attempt(self, job: Job, delivery: Row) -> Mapping[str, Any]:
        """Send a delivery; return the fields that say how it ended."""
        kind, id = delivery["object"], delivery["object_id"]
        if job.attempt > 1:
            if delivery["state"] != "recorded":
                return {}  # interrupted after its result was stored
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

    def _end(self, job: Job, delivery: Row, result: Mapping[str, Any]) -> None:
        """Store a result, and send the deliveries that waited for it.

        They may be many, so each transaction lets some go; the last one ends the job.
        """
        is_last = False
        while not is_last:
            with self._store.transaction():
                if self._store.current(delivery) is None:  # what waited for it is gone as well
                    self._store.end_job(job)
                    return
                later = self._log.find(before_ref(delivery.id), limit=RELEASED_AT_ONCE)
                for waiting in later:
                    self._stop_waiting(waiting, delivery.id)
                is_last = len(later) < RELEASED_AT_ONCE
                if is_last:
                    self._store.end_job(job)
                    self._log.end(delivery, result)
                else:
                    self._store.update(delivery, result)

    def _stop_waiting(self, delivery: Row, earlier: int) -> None:
        """Stop a delivery's wait for an earlier one; send it when it waits for no other."""
        if (before := before_ref(earlier)) not in delivery.refs:
            return
        refs = tuple(ref for ref in delivery.refs if ref not in (before, REORDERED))
        self._store.update(delivery, {}, refs=refs)
        if not waits(refs):
            self._queue(delivery)
