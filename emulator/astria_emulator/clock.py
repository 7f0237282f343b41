"""The system's clock, and a virtual one that moves only when it is moved."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

TICK = timedelta(seconds=1)


class Clock(Protocol):
    """The one source of time."""

    def now(self) -> datetime: ...
    def tick(self) -> None: ...


class SystemClock:
    """The machine's time, cut to milliseconds as the wire shows them.

    It is never set back, so that nothing waits for an hour twice: where the machine's clock is, it
    goes on, ahead of it. It follows the machine's clock forward.
    """

    def __init__(
        self,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ):
        self._wall, self._monotonic = wall, monotonic
        self._lock = threading.Lock()
        self._anchor = wall(), monotonic()  # two readings of one moment

    def now(self) -> datetime:
        with self._lock:
            (since, at), wall, now = self._anchor, self._wall(), self._monotonic()
            moment = since + timedelta(seconds=now - at)
            if wall >= moment:
                moment = wall
                self._anchor = wall, now
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def tick(self) -> None:
        """Do nothing: real time moves by itself."""


class VirtualClock:
    """A clock that each answered request moves by 1 s, and /_emulator/ by any span."""

    def __init__(self, start: datetime):
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._now

    def tick(self) -> None:
        self.advance(TICK)

    def advance(self, span: timedelta) -> None:
        with self._lock:
            self._now += span

    def set(self, moment: datetime) -> None:
        """Move to a moment, forwards or backwards."""
        with self._lock:
            self._now = moment

    def move_to(self, moment: datetime) -> None:
        """Move forward to a moment; an earlier one changes nothing."""
        with self._lock:
            self._now = max(self._now, moment)


def wire_time(moment: datetime) -> str:
    """Return a time as ISO 8601 in UTC with milliseconds: `2023-10-02T14:32:40.363Z`."""
    return (
        moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    )


def read_time(text: str) -> datetime:
    """Read an ISO 8601 time; one without a zone is UTC.

    Raises ValueError.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
