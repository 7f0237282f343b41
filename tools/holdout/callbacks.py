"""Bugs in callbacks."""

import json
import re
import time
from urllib.parse import parse_qsl, urlencode, urljoin

from astria_emulator.api.handlers import prompts
from astria_emulator.objects import presentation, removal, tunes
from astria_emulator.outbound import door
from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.work import generation, job_steps, jobs
from tools.holdout.planting import (
    all_of,
    replace_function,
    replace_value,
    rows,
)
from tools.holdout.wire_changes import change_callback_url, send_callbacks_by

NOT_FINAL = ("waiting", "queued", "generating")


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

    all_of(replace_function(jobs.KINDS, "start_tune", make), send_callbacks_by(act))(patch, app)


def tunes_sent_late(patch, app):
    send = app.services.callbacks.send

    def make(post):
        def posted(url, body, **how):
            if body.startswith(b'{"tune"'):
                time.sleep(1)
            return post(url, body, **how)

        return posted

    patch.setattr(app.services.callbacks, "send", lambda *to, after=(): send(*to))
    replace_function(door, "post", make)(patch, app)


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
    return send_callbacks_by(
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
        "nested-prompts-call-nobody": all_of(
            replace_function(
                tunes,
                "make_prompt",
                lambda make: lambda *to: make(*to, nested=True),
            ),
            send_callbacks_by(lambda send, row, *to: row.get("nested") or send(row, *to)),
        ),
        "tune-calls-back-twice": send_callbacks_by(
            lambda send, row, *to: [send(row, *to) for _ in range(1 + (row.table == "tune"))]
        ),
        "tune-calls-back-before-it-is-trained": sent_when_started,
        "prompt-callback-is-not-wrapped": send_callbacks_by(
            lambda send, row, url, body: send(
                row, url, body["prompt"] if row.table == "prompt" else body
            )
        ),
        "prompt-callback-is-the-whole-object": replace_function(
            presentation, "callback_body", whole_prompt
        ),
        "callback-of-a-lora-prompt-names-the-lora": send_callbacks_by(
            lambda send, row, url, body: (
                row.table == "prompt" and body["prompt"].update(tune_id=row["home_tune_id"]),
                send(row, url, body),
            )
        ),
        "callback-query-is-encoded-again": change_callback_url(encoded_again),
        "braces-in-a-callback-are-filled-in": change_callback_url(
            lambda url, row: re.sub(r"\{\w+\}", str(row.id), url)
        ),
        "callback-comes-again-after-500": replace_function(door, "post", again_after_500),
        "failing-receiver-empties-the-prompt": replace_function(
            Callbacks, "_attempt", emptied_by_its_receiver
        ),
        "callback-follows-a-redirect": replace_function(door, "_exchange", following),
        "prompts-are-told-before-their-tune": tunes_sent_late,
        "deleted-prompt-still-calls-back": all_of(
            replace_function(prompts, "remove_prompt", sent_on_removal),
            replace_function(removal, "remove_prompt", sent_on_removal),
        ),
        "prompts-callback-comes-before-the-pictures": replace_value(
            generation, "FINAL", {"prompt": {*NOT_FINAL, "finished", "failed"}}
        ),
        "prompts-callback-comes-for-each-prompt": of_a_run(
            lambda prompts: [[prompt] for prompt in prompts]
        ),
    },
)
