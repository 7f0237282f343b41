"""Findings about callbacks: those that the client did not take, or did not miss."""

from collections.abc import Iterator

from astria_emulator.testing.check_client.play import Callback, Finding, Play, Request, made_by
from astria_emulator.testing.check_client.request_findings import OBJECTS, knows_the_end

DROPPED = "callback-dropped"
HUNG_UP = "callback-timed-out"
BLOCKED = "blocked"  # how the error of an address that is never called begins
ENDING_SECONDS = 0.25  # a command that ends stops to listen a little earlier


def lost_callback(play: Play, good: Play | None) -> Iterator[Finding]:
    """An object ended, its callback was dropped, and the client never looked."""
    dropped = {(c.object, c.object_id): c for c in play.callbacks if c.fault == DROPPED}
    for thing in play.things:
        callback = dropped.get((thing.table, thing.id))
        ended = thing.ended
        if callback is None or ended is None or ended >= play.seconds - ENDING_SECONDS:
            continue
        if not knows_the_end(play, thing, play.seconds):
            says = (
                f"The callback of {thing.table} {thing.id} never came, and the client never read "
                "that it had ended."
            )
            reads = tuple(play.reads(thing)[-1:])
            yield Finding("lost-callback", play.name, says, reads, (callback,))


def callback_refused(play: Play, good: Play | None) -> Iterator[Finding]:
    found = [callback for callback in play.callbacks if _is_refused(play, callback)]
    if found:
        answers = dict.fromkeys(str(callback.status or callback.error) for callback in found)
        count = "A callback was" if len(found) == 1 else f"{len(found)} callbacks were"
        says = f"{count} not answered with 2xx: {', '.join(answers)}."
        yield Finding("callback-refused", play.name, says, (), tuple(found))


def doubled_callback_effect(play: Play, good: Play | None) -> Iterator[Finding]:
    """A callback came twice, and what it sets going was done for each."""
    calls: dict[tuple[str, int, str], list[Callback]] = {}
    for callback in play.callbacks:
        if callback.fault != DROPPED:
            key = (callback.object, callback.object_id, callback.url)
            calls.setdefault(key, []).append(callback)
    doubled = [twice for twice in calls.values() if len(twice) > 1]
    for table in OBJECTS:
        usual = {} if good is None else good.alike(table)
        for sameness, sent in play.alike(table).items():
            most = max(1, len(made_by(usual.get(sameness, ()))))
            if twice := _cause(sent, doubled, most):
                first, made = twice[0], [one for one in sent if one.is_after(twice[0].sent)]
                says = (
                    f"The callback of {first.object} {first.object_id} came {len(twice)} times, "
                    f"and after each of them an equal request made a {table}."
                )
                found = (tuple(made), tuple(twice))
                yield Finding("doubled-callback-effect", play.name, says, *found)
                break  # once for each kind of object


def _cause(sent: list[Request], doubled: list[list[Callback]], most: int) -> list[Callback]:
    """The calls of which each may have set off one of some equal requests; none where none has.

    most: how many objects such requests make on a good day.
    """
    if any(one.is_lost for one in sent):
        return []  # it may have been made again for that
    # What a request names is more likely its cause.
    for twice in sorted(doubled, key=lambda calls: str(calls[0].object_id) not in sent[0].sameness):
        made = [one for one in sent if one.made is not None and one.is_after(twice[0].sent)]
        if len(made_by(made)) > most and made[-1].is_after(twice[-1].sent):
            return twice
    return []


def _is_refused(play: Play, callback: Callback) -> bool:
    """Whether a client that still ran did not take a callback that it had use for."""
    if callback.ended is None or callback.is_taken or callback.fault in (DROPPED, HUNG_UP):
        return False
    if callback.ended > play.seconds - ENDING_SECONDS or (callback.error or "").startswith(BLOCKED):
        return False
    # A client that knows how something ended may stop listening.
    return callback.status is not None or not _is_known(play, callback)


def _is_known(play: Play, callback: Callback) -> bool:
    whose = (callback.object, callback.object_id)
    before = any(
        (other.object, other.object_id) == whose
        and other.is_taken
        and other.ended is not None
        and other.ended <= callback.sent
        for other in play.callbacks
    )
    things = [thing for thing in play.things if (thing.table, thing.id) == whose]
    return before or any(knows_the_end(play, thing, callback.sent) for thing in things)
