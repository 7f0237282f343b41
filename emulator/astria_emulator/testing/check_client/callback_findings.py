"""Findings about callbacks: refused, taken twice, or lost without the client noticing."""

from collections.abc import Iterator

from astria_emulator.testing.check_client.play import Callback, Finding, Play, Request, made_by
from astria_emulator.testing.check_client.request_findings import OBJECTS, knows_the_end

DROPPED = "callback-dropped"
HUNG_UP = "callback-timed-out"
BLOCKED = "blocked"  # the beginning of the error of an address that is never called
ENDING_SECONDS = 0.25  # a command stops listening a little before it ends


def lost_callback(play: Play, good: Play | None) -> Iterator[Finding]:
    """Find objects whose callback was dropped, and whose end the client never read."""
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
            yield Finding(
                name="lost-callback",
                scenario=play.name,
                says=says,
                requests=reads,
                callbacks=(callback,),
            )


def callback_refused(play: Play, good: Play | None) -> Iterator[Finding]:
    """Find callbacks that the client did not answer with 2xx."""
    refused = [callback for callback in play.callbacks if _is_refused(play, callback)]
    if refused:
        answers = dict.fromkeys(str(callback.status or callback.error) for callback in refused)
        count = "A callback was" if len(refused) == 1 else f"{len(refused)} callbacks were"
        says = f"{count} not answered with 2xx: {', '.join(answers)}."
        yield Finding("callback-refused", play.name, says, callbacks=tuple(refused))


def doubled_callback_effect(play: Play, good: Play | None) -> Iterator[Finding]:
    """Find work that the client did for each of two calls of the same callback."""
    calls: dict[tuple[str, int, str], list[Callback]] = {}
    for callback in play.callbacks:
        if callback.fault != DROPPED:
            key = (callback.object, callback.object_id, callback.url)
            calls.setdefault(key, []).append(callback)
    doubled = [same for same in calls.values() if len(same) > 1]
    for table in OBJECTS:
        usual = {} if good is None else good.repeated(table)
        for content, requests in play.repeated(table).items():
            limit = max(1, len(made_by(usual.get(content, ()))))
            if repeats := _cause(requests, doubled, limit):
                first = repeats[0]
                caused = [request for request in requests if request.is_after(first.sent)]
                says = (
                    f"The callback of {first.object} {first.object_id} came {len(repeats)} times, "
                    f"and after each of them an equal request made a {table}."
                )
                yield Finding(
                    name="doubled-callback-effect",
                    scenario=play.name,
                    says=says,
                    requests=tuple(caused),
                    callbacks=tuple(repeats),
                )
                break  # once for each kind of object


def _cause(requests: list[Request], doubled: list[list[Callback]], limit: int) -> list[Callback]:
    """Return calls of one callback that may each have caused one of some equal requests.

    limit: how many objects such requests make on a good day. Empty where there is no such cause.
    """
    if any(request.is_lost for request in requests):
        return []  # the repetition may be for the lost answer
    content = requests[0].content
    # A callback about an object that the requests name is the more likely cause.
    for calls in sorted(doubled, key=lambda calls: str(calls[0].object_id) not in content):
        making = [r for r in requests if r.made is not None and r.is_after(calls[0].sent)]
        if len(made_by(making)) > limit and making[-1].is_after(calls[-1].sent):
            return calls
    return []


def _is_refused(play: Play, callback: Callback) -> bool:
    """Return whether a running client refused a callback that told it something new."""
    if callback.ended is None or callback.is_taken or callback.fault in (DROPPED, HUNG_UP):
        return False
    if callback.ended > play.seconds - ENDING_SECONDS or (callback.error or "").startswith(BLOCKED):
        return False
    # A client that knows how something ended may stop listening.
    return callback.status is not None or not _is_known(play, callback)


def _is_known(play: Play, callback: Callback) -> bool:
    """Return whether the client already knew, when it was called, that the object had ended."""
    key = (callback.object, callback.object_id)
    was_told = any(
        (other.object, other.object_id) == key
        and other.is_taken
        and other.ended is not None
        and other.ended <= callback.sent
        for other in play.callbacks
    )
    things = [thing for thing in play.things if (thing.table, thing.id) == key]
    return was_told or any(knows_the_end(play, thing, callback.sent) for thing in things)
