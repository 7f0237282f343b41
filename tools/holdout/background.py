"""Bugs in what happens by itself: the life cycle, and requests at once."""

import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from astria_emulator.api import views
from astria_emulator.domain.lifecycle import step
from astria_emulator.mock.backend import MockBackend
from astria_emulator.objects import tunes
from astria_emulator.objects.results import Creation
from astria_emulator.storage.refs import title_ref
from astria_emulator.storage.store import FIRST_ID, Query
from astria_emulator.work import training
from tools.holdout.callbacks import CALLBACKS
from tools.holdout.planting import (
    all_of,
    change_transition,
    handle_by,
    replace_function,
    rows,
)
from tools.holdout.wire_changes import change_objects

SECOND = timedelta(seconds=1)
RACE_SECONDS = 0.05  # how wide a race's window is


# -- life cycle ------------------------------------------------------------------------------------
def pictures_a_read_late(patch, app):
    read = set()

    def change(prompt):
        if prompt["trained_at"] and prompt["id"] not in read:
            read.add(prompt["id"])
            prompt["images"] = []

    change_objects("GET /prompts/*", change)(patch, app)


def nested_at_once(make):
    def made_at_once(services, caller, tune, body):
        made = make(services, caller, tune, body)
        if made.row["state"] == "waiting":
            row = services.store.update(made.row, {"state": "queued"})
            services.schedule("start_prompt", row, services.clock.now())
        return made

    return made_at_once


def untrained_by_a_prompt(handler, services, caller, arguments):
    made = handler(services, caller, **arguments)
    tune = services.store.get("tune", arguments["tune_id"])
    if tune.owner and tune["trained_at"]:
        services.store.update(tune, {"trained_at": None})
    return made


def release_one(real):
    def release(services, tune, now):
        waits = Query(tune.owner, ref=tune.id, test=lambda row: row["state"] == "waiting")
        for row in services.store.find("prompt", waits)[-1:]:
            row = services.store.update(row, step("prompt", row, "release", now))
            services.schedule("start_prompt", row, now)

    return release


LIFE_CYCLE = rows(
    "life cycle",
    {
        "tune-starts-after-it-is-trained": change_transition(
            "tune",
            "finish",
            lambda to, row: to.update(started_training_at=to["trained_at"] + SECOND),
        ),
        "pictures-come-a-read-after-trained-at": pictures_a_read_late,
        "prompt-has-at-most-four-pictures": replace_function(
            MockBackend, "_pictures", lambda real: lambda self, job: real(self, job)[:4]
        ),
        "nested-prompts-do-not-wait-for-their-tune": replace_function(
            tunes, "make_prompt", nested_at_once
        ),
        "new-prompt-makes-its-tune-look-untrained": handle_by(
            "create_tune_prompt", untrained_by_a_prompt
        ),
        "only-one-waiting-prompt-is-let-go": replace_function(
            training, "release_waiting", release_one
        ),
        "finished-prompt-changes-with-every-read": handle_by(
            "get_prompt",
            lambda handler, s, c, to: s.store.update(
                handler(s, c, **to), {"updated_at": s.clock.now()}
            ),
        ),
    },
)


# -- concurrency -----------------------------------------------------------------------------------
def on_threads(plant):
    """Answer no request in the server's own thread, where they come one by one."""
    return all_of(lambda patch, app: patch.setattr(app, "is_quick", lambda *asked: False), plant)


@contextmanager
def unlocked():
    yield


def ids_from_a_race(patch, app):
    store = app.services.store
    insert = store.insert

    def inserted(table, owner, data, **more):
        if table in ("tune", "prompt") and more.get("id") is None:
            more["id"] = store._state.next_id.get(table, FIRST_ID[table])
            time.sleep(RACE_SECONDS)
            store._state.next_id[table] = more["id"] + 1
        return insert(table, owner, data, **more)

    patch.setattr(store, "insert", inserted)
    patch.setattr(store, "transaction", unlocked)


def last_one_wins(patch, app):
    at_work = []

    def act(handler, services, caller, arguments):
        at_work.append(caller)
        try:
            time.sleep(RACE_SECONDS)
            made = handler(services, caller, **arguments)
        finally:
            at_work.pop()
        if at_work:
            services.store.delete(made.row)
        return made

    handle_by("create_tune_prompt create_prompt", act)(patch, app)


def looked_up_before(handler, services, caller, arguments):
    mark = title_ref(arguments["body"]["tune"]["title"])
    found = services.store.find("tune", Query(caller.account, ref=mark, limit=1))
    time.sleep(RACE_SECONDS)
    if found and caller.idempotent:
        return Creation(found[0], repeated=True)
    return handler(services, replace(caller, idempotent=False), **arguments)


def one_caller_for_all(patch, app):
    current = []

    def make(real):
        def caller_of(*of):
            current[:] = [real(*of)]
            time.sleep(RACE_SECONDS / 5)
            return current[0]

        return caller_of

    replace_function(views, "caller_of", make)(patch, app)


CONCURRENCY = rows(
    "concurrency",
    {
        "creations-at-once-share-an-id": on_threads(ids_from_a_race),
        "creations-at-once-lose-all-but-the-last": on_threads(last_one_wins),
        "repeats-at-once-make-two-tunes": on_threads(handle_by("create_tune", looked_up_before)),
        "requests-at-once-share-a-caller": on_threads(one_caller_for_all),
    },
)

BACKGROUND = (*LIFE_CYCLE, *CALLBACKS, *CONCURRENCY)
