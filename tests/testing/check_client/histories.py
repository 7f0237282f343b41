"""Plays that nobody has played, for findings to be seen in."""

from typing import Any

from astria_emulator.faults.reading import scenarios
from astria_emulator.testing.check_client.play import Callback, Play, Request, Thing

TUNE = {"tune": {"title": "Jane", "callback": "http://127.0.0.1:1/hook?secret=1"}}
PROMPT = {"prompt": {"text": "ohwx woman"}}
ID, OTHER, PROMPT_ID = 5000001, 5000002, 45000001


def play(*events: Any, scenario: str = "bad-day", exit: int | None = 0, **more: Any) -> Play:
    """A play of 10 s in which these requests, callbacks and things occurred."""

    def of(kind: type) -> list[Any]:
        return [event for event in events if isinstance(event, kind)]

    known = {"seconds": 10.0, "struck": 1, **more}
    parts = {"requests": of(Request), "callbacks": of(Callback), "things": of(Thing)}
    return Play(scenarios()[scenario], exit=exit, **known, **parts)


def post(start: float, status: int | None = 201, *faults: str, **more: Any) -> Request:
    """A request for a tune that takes 10 ms; `made` tells what it made."""
    known = {"operation": "create_tune", "path": "/tunes", "body": TUNE, "query": {}, **more}
    at = {"id": int(start * 1000), "start": start, "end": start + 0.01}
    return Request(method="POST", status=status, faults=faults, **at, **known)


def post_prompt(start: float, status: int | None = 201, *faults: str, **more: Any) -> Request:
    known = {"operation": "create_tune_prompt", "path": f"/tunes/{ID}/prompts", "body": PROMPT}
    return post(start, status, *faults, **known | more)


def get(start: float, status: int | None = 200, *faults: str, **more: Any) -> Request:
    """A read of the tune that takes 10 ms."""
    known = {"operation": "get_tune", "path": f"/tunes/{ID}", "body": None, "query": {}, **more}
    at = {"id": int(start * 1000), "start": start, "end": start + 0.01}
    return Request(method="GET", status=status, faults=faults, **at, **known)


def call(sent: float, status: int | None = 200, *, id: int = ID, **more: Any) -> Callback:
    """A callback about a tune that takes 10 ms."""
    known = {"object": "tune", "url": "http://127.0.0.1:1/hook", "ended": sent + 0.01, **more}
    return Callback(object_id=id, sent=sent, status=status, **known)


def dropped(sent: float, **more: Any) -> Callback:
    return call(sent, None, ended=None, error="by a fault", fault="callback-dropped", **more)


def tune(ended: float | None, id: int = ID) -> Thing:
    return Thing("tune", id, 0.0, ended)
