"""Planted bugs of callbacks, and the properties that find each."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from planting import Bug, Real, replace_function, send_callback
from wire_changes import change_fields

from astria_emulator.api.handlers import prompts, tunes
from astria_emulator.app import Emulator
from astria_emulator.objects import presentation
from astria_emulator.outbound import callbacks, door
from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.work import generation

LONGEST_SECONDS = 60.0  # that anything is waited for


def at_creation(real: Real) -> Real:
    def create(services: Any, caller: Any, body: Any) -> Any:
        made = real(services, caller, body)
        send_callback(services, made.row, "tune")
        return made

    return create


def at_deletion(kind: str) -> Callable[[Real], Real]:
    def make(real: Real) -> Real:
        def remove(services: Any, row: Any) -> None:
            real(services, row)
            if row.get("callback"):
                door.post(row["callback"], b"{}", allowed_hosts=(), timeout=1)

        return remove

    return make


def full_body(real: Real) -> Real:
    return lambda services, kind, shown: {
        kind: {**real(services, kind, shown)[kind], "url": shown["url"]}
    }


def other_base(real: Real) -> Real:
    def body(services: Any, kind: str, shown: Any) -> Any:
        found = real(services, kind, shown)
        return {kind: {**found[kind], **({"tune_id": 1} if kind == "prompt" else {})}}

    return body


def twice(real: Real) -> Real:
    def do(services: Any, row: Any) -> None:
        if row.get("callback"):
            tell_again = callbacks.Callbacks.send
            body = presentation.callback_body(
                services, "prompt", presentation.prompt(services, row)
            )
            tell_again(services.callbacks, row, row["callback"], body)
        real(services, row)

    return do


def run_twice(real: Real) -> Real:
    def do(services: Any, row: Any) -> None:
        before = [services.store.get("prompt", id) for id in row["prompt_ids"]]
        if all(found and found["state"] == "finished" for found in before):
            services.callbacks.send(row, row["prompts_callback"], [])
        real(services, row)

    return do


def late_tune(real: Real) -> Real:
    """A tune's callback is sent once one of a prompt has been."""
    prompt_sent = threading.Event()

    def post(url: str, body: bytes, **more: Any) -> Any:
        is_of_tune = body.startswith(b'{"tune"')
        if is_of_tune:
            assert prompt_sent.wait(LONGEST_SECONDS)
        sent = real(url, body, **more)
        if not is_of_tune:
            prompt_sent.set()
        return sent

    return post


def late_and_out_of_order(patch: pytest.MonkeyPatch, app: Emulator) -> None:
    send = Callbacks.send
    patch.setattr(
        Callbacks, "send", lambda self, row, url, body, after=(): send(self, row, url, body)
    )
    patch.setattr(door, "post", late_tune(door.post))


def retried(real: Real) -> Real:
    def post(*given: Any, **more: Any) -> Any:
        sent = real(*given, **more)
        return real(*given, **more) if sent.status and sent.status >= 300 else sent

    return post


BUGS = (
    Bug(
        "blank-callback-stays-blank",
        change_fields(
            ".*",
            lambda o: {"callback": o["callback"] or ""} if "callback" in o else {},
            method="POST",
        ),
        "callbacks::blank_callback_is_none",
    ),
    Bug(
        "callback-is-the-whole-object",
        replace_function(presentation, "callback_body", full_body),
        "callbacks::trained_tune_is_told_once_and_reduced",
        "callbacks::ended_prompt_is_told_once_and_reduced",
    ),
    Bug(
        "query-string-is-lost",
        replace_function(
            door, "post", lambda real: lambda url, *a, **k: real(url.partition("?")[0], *a, **k)
        ),
        "callbacks::call_is_a_plain_post_of_json_at_the_address_as_it_was_given",
        "callbacks::callback_sent_in_a_form_is_called",
    ),
    Bug("prompts-come-first", late_and_out_of_order, "callbacks::tune_is_told_before_its_prompts"),
    Bug(
        "tune-is-told-of-as-it-is-made",
        replace_function(tunes, "make_tune", at_creation),
        "callbacks::nothing_is_told_while_the_object_is_not_final",
        "callbacks::faceid_tune_tells_nobody",
    ),
    Bug(
        "deletion-is-told",
        replace_function(prompts, "remove_prompt", at_deletion("prompt")),
        "callbacks::nothing_is_told_of_what_was_deleted",
    ),
    Bug(
        "failing-receiver-is-called-again",
        replace_function(door, "post", retried),
        "callbacks::answer_of_the_receiver_changes_nothing",
    ),
    Bug(
        "prompt-is-told-of-twice",
        replace_function(generation, "end_prompt", twice),
        "callbacks::ended_prompt_is_told_once_and_reduced",
        "callbacks::nobody_is_told_twice_of_one_object",
    ),
    Bug(
        "run-is-told-of-twice",
        replace_function(generation, "complete_run", run_twice),
        "callbacks::pack_run_tells_of_the_tune_of_each_prompt_and_once_of_all",
        "callbacks::run_on_tunes_that_exist_tells_once_of_all",
    ),
    Bug(
        "callback-names-another-tune",
        replace_function(presentation, "callback_body", other_base),
        "callbacks::prompt_moved_to_a_base_is_told_of_with_the_base",
    ),
)
