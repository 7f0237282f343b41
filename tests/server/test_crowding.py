"""Who is too slow, and whose connections make room."""

from dataclasses import dataclass

import pytest

from astria_emulator.server import crowding
from astria_emulator.server.crowding import Crowd, Pace, is_loopback

OWN, NEAR, FAR = "127.0.0.1", "10.0.0.1", "10.0.0.2"
LIMIT, FREE = 30, 2


@dataclass(eq=False)
class Channel:
    peer: str
    late: float | None = 0.0  # seconds behind the least rate; None: it is being answered

    def behind(self, now: float) -> float | None:
        return self.late


def chosen(*channels: Channel, limit: int = LIMIT) -> list[Channel]:
    return Crowd(limit, lambda channel: channel.peer).to_close(channels, 1000.0)


def test_nobody_is_closed_while_there_is_room() -> None:
    assert chosen(*[Channel(OWN, 50.0) for _ in range(LIMIT - FREE)]) == []


def test_those_who_are_most_behind_make_room() -> None:
    channels = [Channel(OWN, float(late)) for late in range(LIMIT)]
    assert [channel.late for channel in chosen(*channels)] == [29.0, 28.0]


def test_neither_who_is_answered_nor_who_is_in_time_makes_room() -> None:
    channels = [Channel(OWN, None) for _ in range(15)] + [Channel(OWN, 0.9) for _ in range(15)]
    assert chosen(*channels) == []


def test_those_of_the_peer_with_most_connections_make_room_first() -> None:
    few = [Channel(FAR, 50.0) for _ in range(14)]
    many = [Channel(NEAR, 2.0) for _ in range(16)]
    assert {channel.peer for channel in chosen(*few, *many)} == {NEAR}


def test_one_address_never_has_all_connections() -> None:
    busy = [Channel(NEAR, None) for _ in range(22)]
    reading = [Channel(NEAR, 0.2), Channel(NEAR, 0.0), Channel(NEAR, 0.1)]
    assert chosen(*busy, *reading) == [reading[0]]  # 80 % are 24
    local = [Channel(OWN, channel.late) for channel in (*busy, *reading)]
    assert chosen(*local) == []


def test_many_connections_are_looked_at_now_and_then_only() -> None:
    crowd = Crowd(LIMIT, lambda channel: channel.peer)
    channels = [Channel(OWN, 50.0) for _ in range(LIMIT)]
    assert len(crowd.to_close(channels, 1000.0)) == FREE
    assert crowd.to_close(channels, 1000.0 + crowding.LOOK_SECONDS / 2) == []
    assert len(crowd.to_close(channels, 1000.0 + crowding.LOOK_SECONDS * 2)) == FREE


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True),
     ("10.0.0.1", False), ("::2", False), ("::ffff:10.0.0.1", False)],
)  # fmt: skip
def test_loopback_is_known(address: str, expected: bool) -> None:
    assert is_loopback(address) == expected


def test_burst_does_not_make_up_for_what_drips_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(crowding.time, "monotonic", lambda: now)
    pace = Pace()
    pace.moved(50_000_000)
    assert pace.behind(10.0) == 10.0
    for _ in range(20):
        now += 1
        pace.moved(1)
    assert pace.behind(now) == pytest.approx(20, abs=0.1)
    pace.moved(5000)
    assert pace.behind(now) == pytest.approx(15, abs=0.1)
    pace.restart()
    assert pace.behind(now) == 0
