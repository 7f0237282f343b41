"""Planted bugs of accounts, repeat-safe creation and load, and the properties that find each."""

import threading
from dataclasses import replace
from typing import Any

import pytest
from planting import (
    JSON,
    Answer,
    Bug,
    Call,
    Environ,
    Plant,
    Real,
    body_of,
    intercept,
    is_at,
    kind_of,
    replace_function,
    replace_values,
    replaced,
    send_callback,
)
from wire_changes import (
    ALONE_SECONDS,
    ANY,
    BROKEN,
    change_answer,
    change_environ,
    change_fields,
    under_load,
)

from astria_emulator.api.handlers import prompts, tunes
from astria_emulator.api.handlers import themes as theme_handlers
from astria_emulator.app import Emulator
from astria_emulator.objects import packs
from astria_emulator.objects import prompts as prompt_creation
from astria_emulator.objects import tunes as tune_creation
from astria_emulator.storage.refs import title_ref

LATEST: list[Answer] = []
ANSWER_COMES = threading.Condition()
BY_TITLE: dict[bytes, Answer] = {}
COUNTS = prompt_creation.FINGERPRINT


def the_latest(environ: Environ, call: Call, running: int) -> Answer:
    """Under load an answer is another request's."""
    found = call(environ)
    if environ["REQUEST_METHOD"] not in ("POST", "PATCH") or found.status >= 300:
        return found
    with ANSWER_COMES:
        LATEST.append(found)
        ANSWER_COMES.notify_all()
        if running > 1:
            ANSWER_COMES.wait_for(lambda: LATEST[-1] is not found, ALONE_SECONDS)
            return LATEST[-1]
    return found


def twice_made(environ: Environ, call: Call, running: int) -> Answer:
    """Under load titles differ that were equal."""
    if running > 1 and is_at(environ, "POST", "/tunes"):
        title = b'"title": "%d ' % len(LATEST)
        LATEST.append(BROKEN)
        replaced(environ, body_of(environ).replace(b'"title": "', title))
    return call(environ)


def twice_deleted(environ: Environ, call: Call, running: int) -> Answer:
    found = call(environ)
    is_second = found.status == 404 and environ["REQUEST_METHOD"] == "DELETE" and running > 1
    return Answer(200, found.headers, b'{"message": "Deleted"}') if is_second else found


def remembered(environ: Environ, call: Call) -> Answer:
    """A title's first tune is answered for ever, to whomever."""
    if not is_at(environ, "POST", "/tunes") or kind_of(environ) != JSON:
        return call(environ)
    try:
        title = body_of(environ).partition(b'"title": "')[2].partition(b'"')[0]
    finally:
        environ["wsgi.input"].seek(0)
    if title not in BY_TITLE:
        found = call(environ)
        if found.status != 201:
            return found
        BY_TITLE[title] = found
    return BY_TITLE[title]


def of_one(path: str, methods: str = ANY) -> Plant:
    """On some paths both accounts are the first."""

    def change(environ: Environ) -> None:
        if is_at(environ, methods, path):
            key = environ.get("HTTP_AUTHORIZATION", "")
            environ["HTTP_AUTHORIZATION"] = key.replace("sd_contracts_second", "sd_contracts")

    return change_environ(change)


def always_repeat_safe(patch: pytest.MonkeyPatch, app: Emulator) -> None:
    patch.setattr(app.services, "idempotency", True)


def never_repeat_safe(patch: pytest.MonkeyPatch, app: Emulator) -> None:
    for module in (prompt_creation, tune_creation):
        name = "make_tune" if module is tune_creation else "make_prompt"
        real = getattr(module, name)

        def make(services: Any, caller: Any, *rest: Any, real: Real = real, **more: Any) -> Any:
            return real(services, replace(caller, idempotent=False), *rest, **more)

        for at in (tunes, prompts, packs, theme_handlers, tune_creation, prompt_creation):
            if hasattr(at, name):
                patch.setattr(at, name, make)


def told_again(real: Real) -> Real:
    def create(services: Any, caller: Any, body: Any) -> Any:
        made = real(services, caller, body)
        if made.repeated:
            send_callback(services, made.row, "tune")
        return made

    return create


BUGS = (
    # -- accounts
    Bug(
        "command-line-is-told-to-replace-itself",
        change_fields("/cli/models", lambda _: {"cli": {"latest_version": "9.9.9"}}),
        "accounts::models_name_tunes_and_no_version_of_the_command_line",
    ),
    Bug(
        "base-model-is-missing",
        change_answer(
            "GET", "/gallery/tunes", lambda found: [t for t in found if t["id"] != 666678]
        ),
        "accounts::gallery_has_the_documented_base_models",
    ),
    Bug(
        "workspaces-are-oldest-first",
        change_answer("GET", "/workspaces", lambda found: found[::-1]),
        "accounts::workspaces_are_listed_newest_first",
    ),
    # -- tenants
    Bug(
        "objects-are-everybodys",
        of_one(r"/(tunes|prompts|workspaces)/.*"),
        "tenants::object_of_another_account_does_not_exist",
        "tenants::likes_of_another_account_do_not_count",
    ),
    Bug(
        "lists-are-everybodys",
        of_one("/tunes|/prompts|/packs|/workspaces|/users", "GET"),
        "tenants::lists_show_nothing_of_another_account",
        "tenants::each_key_has_a_user_of_its_own",
    ),
    Bug(
        "references-are-everybodys",
        of_one("/prompts|/themes|/p/.*", "POST"),
        "tenants::reference_to_an_object_of_another_account_is_refused",
    ),
    Bug(
        "text-shows-anybodys-tune",
        replace_function(
            prompt_creation,
            "named_tunes",
            lambda real: (
                lambda s, c, text: [
                    row
                    for one in prompt_creation.tokens(text)
                    if (row := s.store.get("tune", one.tune_id or 0))
                ]
            ),
        ),
        "tenants::text_that_names_a_tune_of_another_account_shows_nothing_of_it",
    ),
    # -- idempotency
    Bug(
        "title-is-known-for-ever",
        intercept(remembered),
        "idempotency::creation_is_not_repeat_safe_by_default",
        "idempotency::repeat_shows_the_object_as_it_is_by_now",
        "idempotency::deleted_object_does_not_come_back",
        "idempotency::accounts_do_not_meet",
        "idempotency::refused_repeat_is_refused_and_uses_nothing_up",
        "tenants::accounts_may_use_the_same_titles",
    ),
    Bug(
        "repeat-is-told",
        replace_function(tunes, "make_tune", told_again),
        "idempotency::repeat_calls_nobody",
    ),
    Bug(
        "creation-is-always-repeat-safe",
        always_repeat_safe,
        "idempotency::creation_is_not_repeat_safe_by_default",
    ),
    Bug(
        "creation-is-never-repeat-safe",
        never_repeat_safe,
        "idempotency::tune_of_the_same_title_is_the_same",
        "idempotency::prompt_of_the_same_attributes_is_the_same",
        "idempotency::repeated_run_of_a_pack_trains_once",
    ),
    Bug(
        "scheduler-makes-no-other-prompt",
        replace_values(
            prompt_creation, FINGERPRINT=tuple(name for name in COUNTS if name != "scheduler")
        ),
        "idempotency::documented_attribute_makes_another_prompt",
    ),
    Bug(
        "style-makes-another-prompt",
        replace_values(prompt_creation, FINGERPRINT=(*COUNTS, "style")),
        "idempotency::any_other_attribute_makes_no_other_prompt",
    ),
    Bug(
        "old-title-is-remembered",
        replace_values(tunes, title_ref=lambda title: title_ref("")),
        "idempotency::tune_is_known_by_its_new_title",
    ),
    Bug(
        "copy-is-the-original",
        replace_function(
            prompts, "make_prompt", lambda real: lambda *a, is_copy=False, **k: real(*a, **k)
        ),
        "idempotency::copy_is_always_another_prompt",
    ),
    # -- concurrency
    Bug(
        "answers-are-mixed-up-under-load",
        under_load(the_latest),
        "concurrency::tunes_made_at_once_are_all_there_and_their_own",
        "concurrency::prompts_made_at_once_are_all_there_and_their_own",
        "concurrency::changes_at_once_leave_one_of_them",
        "concurrency::accounts_at_once_do_not_mix",
    ),
    Bug(
        "one-title-makes-several-under-load",
        under_load(twice_made),
        "concurrency::one_title_sent_at_once_makes_one_tune",
    ),
    Bug(
        "deletion-succeeds-twice-under-load",
        under_load(twice_deleted),
        "concurrency::deleting_at_once_succeeds_once",
    ),
)
