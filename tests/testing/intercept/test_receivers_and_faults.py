"""Receivers of callbacks that come early, late, twice, or never."""

import threading

import pytest
import requests
from flask import Flask

from astria_emulator import Astria
from tests.testing.intercept.clients import HEADERS, TUNE, URL
from tests.testing.intercept.orders import HOOK, app_that, asks_here, create


@pytest.mark.parametrize(
    ("fault", "paths"),
    [
        ("callback-doubled", ["tune", "tune", "prompt"]),
        ("callback-dropped", ["prompt"]),
        ("callback-reordered", ["prompt", "tune"]),
    ],
)
def test_faults_of_callbacks_strike(astria: Astria, app: Flask, fault, paths):
    astria.deliver_to(app)
    astria.fault(fault, object="tune")
    create(prompts_attributes=[{"text": "ohwx woman", "callback": HOOK}])
    astria.finish()
    assert [next(iter(body)) for _, body in app.got] == paths
    assert astria.callbacks[0].fault == fault


def test_callback_that_times_out_arrives_all_the_same(astria: Astria, app: Flask):
    astria.deliver_to(app)
    astria.fault("callback-timed-out")
    create()
    astria.finish()
    assert len(app.got) == 1
    assert (astria.callbacks[0].state, astria.callbacks[0].error) == ("failed", "timed out")


def test_early_callback_comes_before_the_answer(astria: Astria, app: Flask):
    astria.deliver_to(app)
    astria.fault("callback-early", operation="create_tune")
    seen = []
    body = {"tune": {**TUNE["tune"], "callback": HOOK}}
    hooks = {"response": lambda answer, **_: seen.extend(app.got)}
    requests.post(f"{URL}/tunes", json=body, headers=HEADERS, hooks=hooks)
    assert len(seen) == 1


def test_calls_from_many_threads_are_delivered_once_each(astria: Astria, app: Flask):
    astria.deliver_to(app)
    threads = [threading.Thread(target=create, kwargs={"title": f"t{n}"}) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    astria.finish()
    ids = [body["tune"]["id"] for _, body in app.got]
    assert sorted(ids) == [tune.id for tune in astria.tunes]
    assert len(ids) == 20


def test_early_callbacks_receiver_may_ask_the_service(astria: Astria, early_waits: list[bool]):
    """And nobody waits for a call that waits for this very answer."""
    app = app_that(asks_here)
    astria.scenario("early-callbacks")
    astria.deliver_to(app)
    id = create()
    assert app.got[0] == "tune"
    astria.finish()
    assert (app.got, astria.tunes[0].id) == (["tune", "prompt"], id)
    assert early_waits == [True, True]


def test_late_callback_has_come_when_its_time_has_passed_in_one_step(astria: Astria, app: Flask):
    astria.deliver_to(app)
    astria.fault("callback-delayed", seconds=60)
    create()
    astria.advance(hours=1)
    assert len(app.got) == 1


def test_reordered_callback_that_was_overtaken_moves_no_clock(astria: Astria, app: Flask):
    astria.deliver_to(app)
    astria.fault("callback-reordered", seconds=3600, nth=1)
    before = astria.now
    create()
    create()
    astria.finish()
    assert len(app.got) == 2
    assert (astria.now - before).total_seconds() < 60
