"""Findings about requests: what was sent too often, too soon, or not again.

Whatever a play of the good day does as often is no finding: a test suite may well make the same
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
FEWEST_READS = 5  # that count as polling
EARLY_SECONDS = 0.05  # by which times may be off
OBJECTS = ("tune", "prompt")


def retried_a_422(play: Play, good: Play | None) -> Iterator[Finding]:
    usual = {} if good is None else good.alike()
    for sameness, sent in play.alike().items():
        refused = next((one for one in sent if one.status == REFUSED), None)
        again = _after(sent, refused)
        if refused and again and len(sent) > max(1, len(usual.get(sameness, ()))):
            says = f"{_named(refused)} was refused with 422, and sent again {_times(len(again))}."
            yield Finding("retried-a-422", play.name, says, (refused, *again))


def doubled(play: Play, good: Play | None) -> Iterator[Finding]:
    """An answer was lost, and what it told of was made once more."""
    for table in OBJECTS:
        usual = {} if good is None else good.alike(table)
        for sameness, sent in play.alike(table).items():
            lost = next((one for one in sent if one.is_lost), None)
            again = [one for one in _after(sent, lost) if one.made is not None]
            again = [one for one in again if lost and one.made != lost.made]
            if lost and again and len(made_by(sent)) > _usual(usual, sameness):
                says = (
                    f"The answer to {_named(lost)} was lost, though {table} {lost.made} was made; "
                    f"an equal request then made {_list(table, again)}."
                )
                yield Finding(f"doubled-a-{table}", play.name, says, (lost, *again))


def lost_work(play: Play, good: Play | None) -> Iterator[Finding]:
    """Something was not done, and never tried again, and the command thinks that all is well."""
    if play.exit != 0:
        return
    for table in OBJECTS:
        if good is not None and _kept(play, good, table) >= _wanted(good, table):
            continue  # it came about by other requests
        usual = {} if good is None else good.alike(table)
        for sameness, sent in play.alike(table).items():
            undone = [one for one in sent if one.is_undone]
            if undone and len(made_by(sent)) < _usual(usual, sameness):
                says = (
                    f"{_named(undone[-1])} was not done, and not tried again, "
                    "yet the command ended with 0."
                )
                yield Finding("lost-work", play.name, says, tuple(undone))


def did_less(play: Play, good: Play | None) -> Iterator[Finding]:
    """Fewer objects came about than on the good day, though no request for one is known to fail."""
    if good is None or play.exit != 0 or play.scenario.ends != "well":
        return
    without = {request.table for found in lost_work(play, good) for request in found.requests}
    for table in OBJECTS:
        kept, wanted = _kept(play, good, table), _wanted(good, table)
        if kept < wanted and table not in without:
            says = (
                f"The command ended with 0, but made {kept} {table}{'' if kept == 1 else 's'} "
                f"where it makes {wanted} on a good day."
            )
            yield Finding("did-less", play.name, says)


def ignored_retry_after(play: Play, good: Play | None) -> Iterator[Finding]:
    for sent in play.alike().values():
        for earlier in sent:
            asked = _retry_after(play, earlier)
            later = next(iter(_after(sent, earlier)), None)
            if asked is None or later is None:
                continue
            waited = max(0.0, later.start - earlier.end)
            if waited >= asked - EARLY_SECONDS:
                continue
            says = (
                f"{_named(earlier)} was answered 429 with Retry-After: {asked:g}, "
                f"and sent again after {waited:.2f} s."
            )
            yield Finding("ignored-retry-after", play.name, says, (earlier, later))
            break  # once for each kind of request


def polled_past_the_limit(play: Play, good: Play | None, least: float) -> Iterator[Finding]:
    """Reads of something unfinished, on the average more often than one in `least` seconds."""
    for thing in play.things:
        polls: dict[str, list[Request]] = {}
        for read in play.reads(thing):
            if read.is_well_answered and (thing.ended is None or read.end < thing.ended):
                polls.setdefault(read.sameness, []).append(read)
        for reads in polls.values():
            if len(reads) < FEWEST_READS:
                continue
            seconds = reads[-1].start - reads[0].start
            if seconds / (len(reads) - 1) < least:
                says = (
                    f"{thing.table.capitalize()} {thing.id} was read {len(reads)} times within "
                    f"{seconds:.2f} s while it was unfinished, more often than once in {least:g} s."
                )
                yield Finding("polled-past-the-limit", play.name, says, tuple(reads))


def knows_the_end(play: Play, thing: Thing, before: float) -> bool:
    """Whether the client has read, by some time, that an object had ended."""
    return thing.ended is not None and any(
        read.is_well_answered and thing.ended <= read.end and read.end <= before
        for read in play.reads(thing)
    )


def _after(sent: list[Request], first: Request | None) -> list[Request]:
    """Those that may have been sent because of how one of them was answered."""
    later = sent[sent.index(first) + 1 :] if first else []
    return [one for one in later if first and one.is_after(first.end)]


def _retry_after(play: Play, request: Request) -> float | None:
    """Seconds that the client was told to wait."""
    if request.status != TOO_MANY:
        return None
    told = [
        float(rule["retry_after"])
        for rule in play.scenario.rules
        if rule.fault == LIMIT and fnmatchcase(request.operation or "", rule.operation)
    ]
    return min(told, default=None)


def _usual(usual: dict[str, list[Request]], sameness: str) -> int:
    """How many objects equal requests make on a good day."""
    return max(1, len(made_by(usual.get(sameness, ()))))


def _kept(play: Play, good: Play, table: str) -> int:
    """How many objects came about that are no doubles."""
    usual = good.alike(table)
    made = {sameness: len(made_by(sent)) for sameness, sent in play.alike(table).items()}
    return sum(min(count, _usual(usual, sameness)) for sameness, count in made.items())


def _wanted(good: Play, table: str) -> int:
    return len(made_by([request for request in good.requests if request.table == table]))


def _named(request: Request) -> str:
    return f"{request.method} {request.path}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _list(table: str, requests: list[Request]) -> str:
    ids = sorted(made_by(requests))
    return f"{table}{'' if len(ids) == 1 else 's'} {', '.join(map(str, ids))}"
