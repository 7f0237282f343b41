"""Findings about requests: what was sent too often, too soon, or not again.

A request that the good day repeats as often is no finding: a test suite may well create the same
tune in each of its tests.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from astria_emulator.testing.check_client.play import (
    TOO_MANY,
    Finding,
    Play,
    Request,
    Thing,
    made_by,
)

REFUSED = 422
LIMIT = "rate-limited"
MIN_READS = 5  # that count as polling
TOLERANCE_SECONDS = 0.05  # possible error of times
OBJECTS = ("tune", "prompt")


def retried_a_422(play: Play, good: Play | None) -> Iterator[Finding]:
    """Find requests that were refused with 422 and sent again."""
    usual = {} if good is None else good.repeated()
    for content, requests in play.repeated().items():
        refused = next((request for request in requests if request.status == REFUSED), None)
        again = _after(requests, refused)
        if refused and again and len(requests) > max(1, len(usual.get(content, ()))):
            says = f"{_named(refused)} was refused with 422, and sent again {_times(len(again))}."
            yield Finding("retried-a-422", play.name, says, requests=(refused, *again))


def doubled(play: Play, good: Play | None) -> Iterator[Finding]:
    """Find objects that were created once more because an answer was lost."""
    for table in OBJECTS:
        usual = {} if good is None else good.repeated(table)
        for content, requests in play.repeated(table).items():
            lost = next((request for request in requests if request.is_lost), None)
            again = [request for request in _after(requests, lost) if request.made is not None]
            again = [request for request in again if lost and request.made != lost.made]
            if lost and again and len(made_by(requests)) > _usual_count(usual, content):
                says = (
                    f"The answer to {_named(lost)} was lost, though {table} {lost.made} was made; "
                    f"an equal request then made {_list(table, again)}."
                )
                yield Finding(f"doubled-a-{table}", play.name, says, requests=(lost, *again))


def lost_work(play: Play, good: Play | None) -> Iterator[Finding]:
    """Find requests that were not done and not tried again, though the command ended with 0."""
    if play.exit != 0:
        return
    for table in OBJECTS:
        if good is not None and _count(play, good, table) >= _good_count(good, table):
            continue  # other requests created the objects
        usual = {} if good is None else good.repeated(table)
        for content, requests in play.repeated(table).items():
            undone = [request for request in requests if request.is_undone]
            if undone and len(made_by(requests)) < _usual_count(usual, content):
                says = (
                    f"{_named(undone[-1])} was not done, and not tried again, "
                    "yet the command ended with 0."
                )
                yield Finding("lost-work", play.name, says, requests=tuple(undone))


def did_less(play: Play, good: Play | None) -> Iterator[Finding]:
    """Find fewer objects than on the good day where no failed request explains it."""
    if good is None or play.exit != 0 or play.scenario.ends != "well":
        return
    explained = {r.table for finding in lost_work(play, good) for r in finding.requests}
    for table in OBJECTS:
        count, usual = _count(play, good, table), _good_count(good, table)
        if count < usual and table not in explained:
            says = (
                f"The command ended with 0, but made {count} {table}{'' if count == 1 else 's'} "
                f"where it makes {usual} on a good day."
            )
            yield Finding("did-less", play.name, says)


def ignored_retry_after(play: Play, good: Play | None) -> Iterator[Finding]:
    """Find requests that were sent again sooner than Retry-After allows."""
    for requests in play.repeated().values():
        for earlier in requests:
            retry_after = _retry_after(play, earlier)
            later = next(iter(_after(requests, earlier)), None)
            if retry_after is None or later is None:
                continue
            waited = max(0.0, later.start - earlier.end)
            if waited >= retry_after - TOLERANCE_SECONDS:
                continue
            says = (
                f"{_named(earlier)} was answered 429 with Retry-After: {retry_after:g}, "
                f"and sent again after {waited:.2f} s."
            )
            yield Finding("ignored-retry-after", play.name, says, requests=(earlier, later))
            break  # once for each kind of request


def polled_past_the_limit(play: Play, good: Play | None, least: float) -> Iterator[Finding]:
    """Find reads of an unfinished object that are on average less than `least` seconds apart."""
    for thing in play.things:
        polls: dict[str, list[Request]] = {}
        for read in play.reads(thing):
            if read.is_well_answered and (thing.ended is None or read.end < thing.ended):
                polls.setdefault(read.content, []).append(read)
        for reads in polls.values():
            if len(reads) < MIN_READS:
                continue
            seconds = reads[-1].start - reads[0].start
            if seconds / (len(reads) - 1) < least:
                says = (
                    f"{thing.table.capitalize()} {thing.id} was read {len(reads)} times within "
                    f"{seconds:.2f} s while it was unfinished, more often than once in {least:g} s."
                )
                yield Finding("polled-past-the-limit", play.name, says, requests=tuple(reads))


def knows_the_end(play: Play, thing: Thing, before: float) -> bool:
    """Return whether the client has read before a time that an object had ended."""
    return thing.ended is not None and any(
        read.is_well_answered and thing.ended <= read.end and read.end <= before
        for read in play.reads(thing)
    )


def _after(requests: list[Request], first: Request | None) -> list[Request]:
    """Return the requests that were sent after the answer to the first."""
    later = requests[requests.index(first) + 1 :] if first else []
    return [request for request in later if first and request.is_after(first.end)]


def _retry_after(play: Play, request: Request) -> float | None:
    """Return the seconds that an answer asked the client to wait."""
    if request.status != TOO_MANY:
        return None
    seconds = [
        float(rule["retry_after"])
        for rule in play.scenario.rules
        if rule.fault == LIMIT and fnmatchcase(request.operation or "", rule.operation)
    ]
    return min(seconds, default=None)


def _usual_count(usual: dict[str, list[Request]], content: str) -> int:
    """Return how many objects equal requests create on a good day, at least one."""
    return max(1, len(made_by(usual.get(content, ()))))


def _count(play: Play, good: Play, table: str) -> int:
    """Return how many objects of a table were created, duplicates not counted."""
    usual = good.repeated(table)
    counts = {content: len(made_by(equal)) for content, equal in play.repeated(table).items()}
    return sum(min(count, _usual_count(usual, content)) for content, count in counts.items())


def _good_count(good: Play, table: str) -> int:
    """Return how many objects of a table the good day creates."""
    return len(made_by([request for request in good.requests if request.table == table]))


def _named(request: Request) -> str:
    return f"{request.method} {request.path}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _list(table: str, requests: list[Request]) -> str:
    ids = sorted(made_by(requests))
    return f"{table}{'' if len(ids) == 1 else 's'} {', '.join(map(str, ids))}"
