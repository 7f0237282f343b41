"""Bugs in what happens by itself: the life cycle, callbacks, and requests at once."""

import json
import re
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urljoin

from astria_emulator.api import views
from astria_emulator.api.handlers import prompts
from astria_emulator.mock.backend import MockBackend
from astria_emulator.objects import presentation, removal, tunes
from astria_emulator.objects.results import Made
from astria_emulator.outbound import door
from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.storage.refs import title_ref
from astria_emulator.storage.store import FIRST_ID, Query
from astria_emulator.work import generation, job_steps, jobs, training
from tools.holdout.ways import around, both, calling, calling_at, each, put, rows, stepping, swap

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
RACE_SECONDS = 0.05  # how wide a race's window is
NOT_FINAL = ("waiting", "queued", "generating")


# -- life cycle ------------------------------------------------------------------------------------
def pictures_a_read_late(patch, app):
    read = set()

    def change(prompt):
        if prompt["trained_at"] and prompt["id"] not in read:
            read.add(prompt["id"])
            prompt["images"] = []

    each("GET /prompts/*", change)(patch, app)


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
            row = services.store.update(row, jobs.step("prompt", row, "release", now))
            services.schedule("start_prompt", row, now)

    return release


LIFE_CYCLE = rows(
    "life cycle",
    {
        "tune-starts-after-it-is-trained": stepping(
            "tune",
            "finish",
            lambda to, row: to.update(started_training_at=to["trained_at"] + SECOND),
        ),
        "pictures-come-a-read-after-trained-at": pictures_a_read_late,
        "prompt-has-at-most-four-pictures": swap(
            MockBackend, "_pictures", lambda real: lambda self, job: real(self, job)[:4]
        ),
        "nested-prompts-do-not-wait-for-their-tune": swap(tunes, "make_prompt", nested_at_once),
        "new-prompt-makes-its-tune-look-untrained": around(
            "create_tune_prompt", untrained_by_a_prompt
        ),
        "only-one-waiting-prompt-is-let-go": swap(training, "release_waiting", release_one),
        "finished-prompt-changes-with-every-read": around(
            "get_prompt",
            lambda handler, s, c, to: s.store.update(
                handler(s, c, **to), {"updated_at": s.clock.now()}
            ),
        ),
    },
)


# -- callbacks -------------------------------------------------------------------------------------
def send_tune(services, row):
    if row.get("callback"):
        body = presentation.callback_body(services, "tune", presentation.tune(services, row))
        services.callbacks.send(row, row["callback"], body)


def sent_when_started(patch, app):
    def make(start):
        def started(services, job, now):
            start(services, job, now)
            send_tune(services, job_steps.target(services, job))

        return started

    def act(send, row, *to):
        if row.table != "tune" or row["trained_at"] is None:
            send(row, *to)

    both(swap(jobs.KINDS, "start_tune", make), calling(act))(patch, app)


def tunes_sent_late(patch, app):
    send = app.services.callbacks.send

    def make(post):
        def posted(url, body, **how):
            if body.startswith(b'{"tune"'):
                time.sleep(1)
            return post(url, body, **how)

        return posted

    patch.setattr(app.services.callbacks, "send", lambda *to, after=(): send(*to))
    swap(door, "post", make)(patch, app)


def again_after_500(post):
    def posted(*to, **how):
        sent = post(*to, **how)
        return post(*to, **how) if (sent.status or 0) >= 500 else sent

    return posted


def emptied_by_its_receiver(attempt):
    def attempted(self, job, delivery):
        result = attempt(self, job, delivery)
        prompt = self._store.get("prompt", delivery["object_id"])
        if prompt and delivery["object"] == "prompt" and (result.get("status") or 500) >= 400:
            self._store.update(prompt, {"image_keys": [], "user_error": "The callback failed."})
        return result

    return attempted


def following(exchange):
    def exchanged(url, talk, *how):
        answers = []

        def ask(line, target):
            read = line.getresponse
            line.getresponse = lambda: answers.append(read()) or answers[-1]
            return talk(line, target)

        status = exchange(url, ask, *how)
        place = answers[0].getheader("Location")
        return exchange(urljoin(url, place), talk, *how) if place else status

    return exchanged


def sent_on_removal(remove):
    def removed(services, row):
        if row.get("callback") and row["trained_at"] is None:
            body = presentation.callback_body(
                services, "prompt", presentation.prompt(services, row)
            )
            door.post(row["callback"], json.dumps(body).encode(), allowed_hosts=(), timeout=5)
        remove(services, row)

    return removed


def encoded_again(url, row):
    place, _, query = url.partition("?")
    return f"{place}?{urlencode(parse_qsl(query))}" if query else url


def of_a_run(change):
    """Send what `change(prompts)` lists in place of a prompts_callback's body."""
    return calling(
        lambda send, row, url, body: [
            send(row, url, part) for part in (change(body) if row.table == "run" else [body])
        ]
    )


def whole_prompt(callback_body):
    def body(services, kind, shown):
        if kind != "prompt":
            return callback_body(services, kind, shown)
        schema = services.contract.object_class({"$ref": "#/components/schemas/Prompt"})
        return {kind: schema().dump(shown)}

    return body


CALLBACKS = rows(
    "callbacks",
    {
        "nested-prompts-call-nobody": both(
            swap(
                tunes,
                "make_prompt",
                lambda make: lambda *to: make(*to, nested=True),
            ),
            calling(lambda send, row, *to: row.get("nested") or send(row, *to)),
        ),
        "tune-calls-back-twice": calling(
            lambda send, row, *to: [send(row, *to) for _ in range(1 + (row.table == "tune"))]
        ),
        "tune-calls-back-before-it-is-trained": sent_when_started,
        "prompt-callback-is-not-wrapped": calling(
            lambda send, row, url, body: send(
                row, url, body["prompt"] if row.table == "prompt" else body
            )
        ),
        "prompt-callback-is-the-whole-object": swap(presentation, "callback_body", whole_prompt),
        "callback-of-a-lora-prompt-names-the-lora": calling(
            lambda send, row, url, body: (
                row.table == "prompt" and body["prompt"].update(tune_id=row["home_tune_id"]),
                send(row, url, body),
            )
        ),
        "callback-query-is-encoded-again": calling_at(encoded_again),
        "braces-in-a-callback-are-filled-in": calling_at(
            lambda url, row: re.sub(r"\{\w+\}", str(row.id), url)
        ),
        "callback-comes-again-after-500": swap(door, "post", again_after_500),
        "failing-receiver-empties-the-prompt": swap(Callbacks, "_attempt", emptied_by_its_receiver),
        "callback-follows-a-redirect": swap(door, "_exchange", following),
        "prompts-are-told-before-their-tune": tunes_sent_late,
        "deleted-prompt-still-calls-back": both(
            swap(prompts, "remove_prompt", sent_on_removal),
            swap(removal, "remove_prompt", sent_on_removal),
        ),
        "prompts-callback-comes-before-the-pictures": put(
            generation, "FINAL", {"prompt": {*NOT_FINAL, "finished", "failed"}}
        ),
        "prompts-callback-comes-for-each-prompt": of_a_run(
            lambda prompts: [[prompt] for prompt in prompts]
        ),
    },
)


# -- concurrency -----------------------------------------------------------------------------------
def on_threads(plant):
    """Answer no request in the server's own thread, where they come one by one."""
    return both(lambda patch, app: patch.setattr(app, "is_quick", lambda *asked: False), plant)


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

    around("create_tune_prompt create_prompt", act)(patch, app)


def looked_up_before(handler, services, caller, arguments):
    mark = title_ref(arguments["body"]["tune"]["title"])
    found = services.store.find("tune", Query(caller.account, ref=mark, limit=1))
    time.sleep(RACE_SECONDS)
    if found and caller.idempotent:
        return Made(found[0], repeated=True)
    return handler(services, replace(caller, idempotent=False), **arguments)


def one_caller_for_all(patch, app):
    current = []

    def make(real):
        def caller_of(*of):
            current[:] = [real(*of)]
            time.sleep(RACE_SECONDS / 5)
            return current[0]

        return caller_of

    swap(views, "caller_of", make)(patch, app)


CONCURRENCY = rows(
    "concurrency",
    {
        "creations-at-once-share-an-id": on_threads(ids_from_a_race),
        "creations-at-once-lose-all-but-the-last": on_threads(last_one_wins),
        "repeats-at-once-make-two-tunes": on_threads(around("create_tune", looked_up_before)),
        "requests-at-once-share-a-caller": on_threads(one_caller_for_all),
    },
)

WORK = (*LIFE_CYCLE, *CALLBACKS, *CONCURRENCY)
