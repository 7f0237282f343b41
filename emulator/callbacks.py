"""What is sent to whom, once, and the log of it.

A delivery is a row, and sending it a job: to claim the job is to record the attempt, before
anything is sent. A job that is claimed a second time was interrupted: whether it was sent is
unknown, and it is not sent again. A tune's call ends before those of its prompts begin.
"""

import json
import logging
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from emulator import outbound
from emulator.clock import Clock
from emulator.store import CALLBACKS, Job, Query, Row, Store

log = logging.getLogger(__name__)

Key = tuple[str, int]  # a table and an id

TIMEOUT_SECONDS = 10.0
LOG_SIZE = 1000  # deliveries that are remembered
KEPT_BYTES = 100_000  # of a body; a longer one is kept until it has been sent
SENDERS = 16
LOOK_SECONDS = 0.05
LANE = (CALLBACKS,)


class Callbacks:
    """Sends callbacks on threads of its own."""

    def __init__(self, store: Store, clock: Clock, *, allowed_hosts: Iterable[str]):
        self._store, self._clock = store, clock
        self._allowed_hosts = tuple(allowed_hosts)
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="callback")
        self._ended = threading.Condition()

    def send(self, row: Row, url: str, body: Any, *, after: Collection[Key] = ()) -> Row:
        """Send a row's callback once the calls for the objects in `after` have ended.

        Within a transaction it is recorded with it, and sent when that has succeeded.
        """
        about = {"object": row.table, "object_id": row.id, "url": url, "body": body}
        with self._store.transaction():
            earlier = [
                call.id
                for key in dict.fromkeys(after)
                for call in self._store.find("delivery", Query(None, ref=_open(*key)))
            ]
            return self._record(about, earlier)

    def send_again(self, delivery: Row) -> Row:
        """Send what a delivery holds once more, as a delivery of its own."""
        about = {key: delivery[key] for key in ("object", "object_id", "url", "body")}
        with self._store.transaction():
            return self._record({**about, "redelivery_of": delivery.id}, ())

    def resume(self) -> None:
        """Take up what other processes, or this one before it was stopped, have left."""
        if self._store.next_due(LANE) is not None:
            for _ in range(SENDERS):
                self._call()

    def wait(self, seconds: float) -> bool:
        """Wait until no call is open; tells whether that is so."""
        deadline = time.monotonic() + seconds
        with self._ended:
            while self._store.has_jobs(CALLBACKS):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._ended.wait(min(left, LOOK_SECONDS))
        return True

    def close(self) -> None:
        """Let open calls end; those that do not are left to a store that lasts."""
        if not self._store.is_shared:
            self.wait(TIMEOUT_SECONDS)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _record(self, about: Mapping[str, Any], earlier: Collection[int]) -> Row:
        entry = {**about, "state": "recorded", "at": self._clock.now()}
        refs = (_open(about["object"], about["object_id"]), *map(_before, earlier))
        delivery = self._store.insert("delivery", None, entry, refs=refs)
        if not earlier:
            self._queue(delivery)
        return delivery

    def _queue(self, delivery: Row) -> None:
        self._store.add_job("send_callback", delivery, self._clock.now())
        self._store.on_commit(self._call)

    def _call(self) -> None:
        with suppress(RuntimeError):  # closed
            self._pool.submit(self._send_next)

    def _send_next(self) -> None:
        try:
            if job := self._store.claim_job(LANE, None):
                try:
                    self._send(job)
                finally:
                    self._store.let_go(job)
        except Exception:
            log.exception("a callback")
        finally:
            with self._ended:
                self._ended.notify_all()

    def _send(self, job: Job) -> None:
        if delivery := self._store.get("delivery", job.target):
            self._end(job, delivery, self._attempt(job, delivery))
        else:
            self._store.end_job(job)

    def _attempt(self, job: Job, delivery: Row) -> Mapping[str, Any]:
        """Send a delivery; what has become of it."""
        kind, id = delivery["object"], delivery["object_id"]
        if job.attempt > 1:
            log.warning("callback %s %d: interrupted, and not sent again", kind, id)
            return {"state": "unknown", "error": "interrupted: it may have been sent"}
        if kind != "run" and self._store.get(kind, id) is None:
            return {"state": "dropped", "error": "the object was deleted"}
        try:
            raw = json.dumps(delivery["body"], ensure_ascii=False, separators=(",", ":")).encode()
            sent = outbound.post(
                delivery["url"], raw, allowed_hosts=self._allowed_hosts, timeout=TIMEOUT_SECONDS
            )
        except Exception:
            log.exception("callback %s %d", kind, id)
            return {"state": "failed", "error": "unexpected error"}
        level = logging.WARNING if sent.error else logging.INFO
        place, outcome = outbound.place_of(delivery["url"]), sent.error or sent.status
        log.log(level, "callback %s %d to %r: %s", kind, id, place, outcome)
        state = "failed" if sent.error else "delivered"
        seconds = round(sent.seconds, 3)
        result = {"state": state, "status": sent.status, "error": sent.error, "seconds": seconds}
        return result if len(raw) <= KEPT_BYTES else {**result, "body": None}

    def _end(self, job: Job, delivery: Row, result: Mapping[str, Any]) -> None:
        """Note a result, let those go that waited for it, and cut the log."""
        store = self._store
        with store.transaction():
            store.end_job(job)
            store.update(delivery, result, refs=())
            for later in store.find("delivery", Query(None, ref=_before(delivery.id))):
                refs = tuple(ref for ref in later.refs if ref != _before(delivery.id))
                store.update(later, {}, refs=refs)
                if not any(str(ref).startswith(BEFORE) for ref in refs):
                    self._queue(later)
            [newest] = store.find("delivery", Query(None, limit=1)) or [delivery]
            for old in store.find("delivery", Query(None, before_id=newest.id - LOG_SIZE + 1)):
                if not old.refs:  # it has ended
                    store.delete(old)


BEFORE = "before:"


def _open(table: str, id: int) -> str:
    """Mark of a delivery that has not ended."""
    return f"open:{table}:{id}"


def _before(delivery_id: int) -> str:
    """Mark of a delivery that waits for another one."""
    return f"{BEFORE}{delivery_id}"
