"""How slow a client may be, and whose connections are closed when there are too many."""

import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

LEAST_RATE = 1000.0  # bytes a second, either way
LATE_SECONDS = 1.0  # behind that rate: such connections are closed when there are too many
KEPT_FREE = 1 / 15  # of the connections, for whoever comes next
SHARE = 0.8  # of the connections, for one address; on loopback all clients have one
LOOK_SECONDS = 0.1  # between two looks at many connections


class Pace:
    """How far a client is behind the least rate. A burst does not make up for what comes later."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin to count: from now on the client is waited for."""
        self._behind, self._at = 0.0, time.monotonic()

    def moved(self, count: int) -> None:
        """Count bytes that came, or that the client took."""
        now = time.monotonic()
        self._behind = max(0.0, self._behind + now - self._at - count / LEAST_RATE)
        self._at = now

    def behind(self, now: float) -> float:
        """Return seconds, at a monotonic time."""
        return self._behind + now - self._at


class Crowd:
    """Chooses the connections that make room: slow ones of the peer that has most.

    limit: of connections. `peer_of`: the address of a channel's client.
    """

    def __init__(self, limit: int, peer_of: Callable[[Any], str]):
        self._most = max(round(limit * (1 - KEPT_FREE)), 1)
        self._share = max(round(limit * SHARE), 1)
        self._peer_of = peer_of
        self._looked = 0.0

    def is_full(self, count: int) -> bool:
        """Whether so many connections leave too few for others."""
        return count > self._most

    def to_close(self, channels: Collection[Any], now: float) -> list[Any]:
        """Return the channels to close at a monotonic time; most often none."""
        few = len(channels) <= min(self._most, self._share)
        if few or now - self._looked < LOOK_SECONDS:
            return []
        self._looked = now
        peers = {channel: self._peer_of(channel) for channel in channels}
        counts = Counter(peers.values())
        # Read once: other threads answer meanwhile. Those that wait for an answer are not closed.
        behind = {channel: channel.behind(now) for channel in channels}
        waited_for = [(channel, late) for channel, late in behind.items() if late is not None]
        waited_for.sort(key=lambda one: (-counts[peers[one[0]]], -one[1]))
        excess = len(channels) - self._most
        over = Counter({p: n - self._share for p, n in counts.items() if not is_loopback(p)})
        chosen = []
        for channel, late in waited_for:
            peer = peers[channel]
            if over[peer] > 0 or (excess > 0 and late >= LATE_SECONDS):
                chosen.append(channel)
                over[peer] -= 1
                excess -= 1
        return chosen


def is_loopback(address: str) -> bool:
    return address.removeprefix("::ffff:").startswith("127.") or address == "::1"
