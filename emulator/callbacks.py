"""What is sent to whom, once, and the log of it.

An attempt is recorded before it is sent; it is never repeated. A tune's call ends before those of
its prompts begin.
"""

import json
import logging
import threading
from collections.abc import Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from emulator import outbound
from emulator.clock import Clock
from emulator.store import Row, Store

log = logging.getLogger(__name__)

Key = tuple[str, int]  # a table and an id

TIMEOUT_SECONDS = 10.0
LOG_SIZE = 1000  # deliveries that are remembered
SENDERS = 16


class Callbacks:
    """Sends callbacks on threads of its own."""

    def __init__(self, store: Store, clock: Clock, *, allowed_hosts: Iterable[str]):
        self._store, self._clock = store, clock
        self._allowed_hosts = tuple(allowed_hosts)
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="callback")
        self._lock = threading.Lock()
        self._open: dict[Future[None], Key] = {}

    def send(self, row: Row, url: str, body: Any, *, after: Collection[Key] = ()) -> None:
        """Send a row's callback once the calls for the objects in `after` have ended.

        Within a transaction it is recorded with it, and sent when that has succeeded.
        """
        delivery = self._record(row, url, body)
        done: Future[None] = Future()
        # Within the transaction: whoever sees its outcome finds this call open.
        with self._lock:
            earlier = [call for call, key in self._open.items() if key in after]
            self._open[done] = (row.table, row.id)
        self._store.on_rollback(lambda: self._end(done))

        def submit() -> None:
            self._pool.submit(self._deliver, delivery, row, done)

        self._store.on_commit(lambda: _when_all(earlier, submit))

    def wait(self, seconds: float) -> bool:
        """Wait until no call is open; tells whether that is so."""
        with self._lock:
            waiting = list(self._open)
        return not wait(waiting, timeout=seconds).not_done

    def close(self) -> None:
        self.wait(TIMEOUT_SECONDS)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _record(self, row: Row, url: str, body: Any) -> Row:
        entry = {
            "object": row.table,
            "object_id": row.id,
            "url": url,
            "body": body,
            "state": "recorded",
            "at": self._clock.now(),
        }
        with self._store.transaction():
            delivery = self._store.insert("delivery", None, entry)
            if oldest := self._store.get("delivery", delivery.id - LOG_SIZE):
                self._store.delete(oldest)
        return delivery

    def _deliver(self, delivery: Row, row: Row, done: Future[None]) -> None:
        try:
            if self._store.current(row) is None and row.table != "run":
                gone = {"state": "dropped", "error": "the object was deleted"}
                self._store.update(delivery, gone)
                return
            url, body = delivery["url"], delivery["body"]
            raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
            sent = outbound.post(
                url, raw, allowed_hosts=self._allowed_hosts, timeout=TIMEOUT_SECONDS
            )
            result = {"status": sent.status, "error": sent.error, "seconds": round(sent.seconds, 3)}
            state = "failed" if sent.error else "delivered"
            self._store.update(delivery, {"state": state, **result})
            level = logging.WARNING if sent.error else logging.INFO
            outcome = sent.error or sent.status
            log.log(
                level,
                "callback %s %d to %r: %s",
                row.table,
                row.id,
                outbound.place_of(url),
                outcome,
            )
        except Exception:
            log.exception("callback %s %d", row.table, row.id)
            self._store.update(delivery, {"state": "failed", "error": "unexpected error"})
        finally:
            self._end(done)

    def _end(self, done: Future[None]) -> None:
        with self._lock:
            del self._open[done]
        done.set_result(None)


def _when_all(futures: list[Future[None]], act: Any) -> None:
    """Call `act` once every future has ended, in the thread that ends the last."""
    if not futures:
        act()
        return
    lock, left = threading.Lock(), [len(futures)]

    def ended(_: Future[None]) -> None:
        with lock:
            left[0] -= 1
            last = left[0] == 0
        if last:
            act()

    for future in futures:
        future.add_done_callback(ended)
