"""Planted bugs within the emulator, and the properties that each turns red."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from planting import Bug, Plant, within, without

from astria_emulator.api.handlers import likes, prompts, tunes
from astria_emulator.api.handlers import themes as theme_handlers
from astria_emulator.app import Emulator
from astria_emulator.domain import lifecycle
from astria_emulator.errors import NotFound
from astria_emulator.mock import backend, drawing
from astria_emulator.objects import packs, presentation
from astria_emulator.objects import prompts as prompt_creation
from astria_emulator.objects import tunes as tune_creation
from astria_emulator.outbound import callbacks, door
from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.storage.refs import title_ref
from astria_emulator.storage.store import Query
from astria_emulator.work import generation, training

Real = Callable[..., Any]
LONGEST_SECONDS = 60.0  # that anything is waited for


def patched(module: Any, **values: Any) -> Plant:
    """Put other values in the place of some."""

    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        for name, value in values.items():
            patch.setattr(module, name, value)

    return plant


def of_services(change: Callable[[Any], Any]) -> Plant:
    return lambda patch, app: change(app.services)


def files_stay(patch: pytest.MonkeyPatch, app: Emulator) -> None:
    patch.setattr(app.services.files, "delete", lambda keys: None)


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


# -- callbacks -------------------------------------------------------------------------------------
def tell(services: Any, row: Any, kind: str) -> None:
    if row.get("callback"):
        services.callbacks.send(row, row["callback"], {kind: {"id": row.id, "trained_at": None}})


def at_creation(real: Real) -> Real:
    def create(services: Any, caller: Any, body: Any) -> Any:
        made = real(services, caller, body)
        tell(services, made.row, "tune")
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
        told = real(services, kind, shown)
        return {kind: {**told[kind], **({"tune_id": 1} if kind == "prompt" else {})}}

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


def told_when_expired(real: Real) -> Real:
    def erase(services: Any, row: Any) -> None:
        real(services, row)
        tell(services, row, "tune")

    return erase


def told_again(real: Real) -> Real:
    def create(services: Any, caller: Any, body: Any) -> Any:
        made = real(services, caller, body)
        if made.repeated:
            tell(services, made.row, "tune")
        return made

    return create


# -- prompts on adapters ---------------------------------------------------------------------------
def prefixed(real: Real) -> Real:
    def rehomed(services: Any, home: Any, given: Any) -> tuple[str, Any]:
        text, base = real(services, home, given)
        return f"<lora:{home.id}:1> {given.get('text') or text}", base

    return rehomed


# -- deletion and expiry ---------------------------------------------------------------------------
def all_that_name_it(real: Real) -> Real:
    def remove(services: Any, row: Any) -> None:
        for prompt in services.store.find("prompt", Query(row.owner, ref=row.id)):
            prompts.remove_prompt(services, prompt)
        real(services, row)

    return remove


def one_more(real: Real) -> Real:
    def remove(services: Any, row: Any) -> None:
        others = services.store.find("prompt", Query(row.owner, ref=row["tune_id"]))
        real(services, row)
        for other in [found for found in others if found.id != row.id][:1]:
            real(services, other)

    return remove


def prompts_stay(real: Real) -> Real:
    def remove(services: Any, row: Any) -> None:
        services.store.cancel_jobs(row)
        services.store.delete(row)

    return remove


def under_any_tune(real: Real) -> Real:
    return lambda services, caller, _, prompt: prompts.own(services, caller, "prompt", prompt)


def ids_go_back(patch: pytest.MonkeyPatch, app: Emulator) -> None:
    store = app.services.store
    real = store.delete

    def delete(row: Any) -> Any:
        store._state.next_id[row.table] = row.id
        return real(row)

    patch.setattr(store, "delete", delete)


def not_when_expired(real: Real) -> Real:
    def own(services: Any, caller: Any, table: str, id: int) -> Any:
        row = real(services, caller, table, id)
        if row.get("state") == "expired":
            raise NotFound
        return row

    return own


def without_auto_extend(real: Real) -> Real:
    return lambda services, caller, body: real(services, caller, {**body, "auto_extend": False})


# -- the rest --------------------------------------------------------------------------------------
def likes_add_up(real: Real) -> Real:
    def like(services: Any, caller: Any, id: int, *, liked: bool) -> Any:
        row = likes.own(services, caller, "prompt", id)
        services.store.update(row, {"liked": not liked})
        return real(services, caller, id, liked=liked)

    return like


def likes_spread(real: Real) -> Real:
    def like(services: Any, caller: Any, id: int, *, liked: bool) -> Any:
        for row in services.store.find("prompt", Query(caller.account, limit=2)):
            if row.id > id:
                services.store.update(row, {"prompt_likes_count": 1})
        return real(services, caller, id, liked=liked)

    return like


def likes_change_the_text(real: Real) -> Real:
    def like(services: Any, caller: Any, id: int, *, liked: bool) -> Any:
        row = likes.own(services, caller, "prompt", id)
        services.store.update(row, {"text": f"{row['text']} "})
        return real(services, caller, id, liked=liked)

    return like


def one_index(real: Real) -> Real:
    def pictures(self: Any, job: Any) -> Any:
        made = real(self, job)
        return made[:1] * len(made)

    return pictures


def seeded(**more: Any) -> Callable[[Real], Real]:
    """Pictures depend on other seeds; `seed` is for all of those that were not given one."""

    def make(real: Real) -> Real:
        def job(services: Any, row: Any) -> Any:
            found = real(services, row)
            given = row.get("seed") is not None
            seed = found.seed if given and "seed" in more else more.get("seed", found.prompt_id)
            return replace(found, seed=seed)

        return job

    return make


def url_or_file(real: Real) -> Real:
    def make(services: Any, caller: Any, body: Any) -> Any:
        files = body.get("images")
        return real(services, caller, without("image_urls")(body) if files else body)

    return make


def unfilled(*modules: Any) -> Plant:
    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        for module in modules:
            patch.setattr(module, "fill", lambda text, known: text)

    return plant


def forgotten(*names: str) -> Callable[[Real], Real]:
    return lambda real: lambda *given, **more: without(*names)(real(*given, **more))


COUNTS = prompt_creation.FINGERPRINT
WITHIN = (
    # -- life cycle
    Bug(
        "tune-lasts-29-days",
        patched(lifecycle, STORAGE=timedelta(days=29)),
        "lifecycle::tune_goes_forward_to_its_end",
        "expiry::tune_lasts_until_its_time",
    ),
    # -- callbacks
    Bug(
        "callback-is-the-whole-object",
        within(presentation, "callback_body", full_body),
        "callbacks::trained_tune_is_told_once_and_reduced",
        "callbacks::ended_prompt_is_told_once_and_reduced",
    ),
    Bug(
        "query-string-is-lost",
        within(
            door, "post", lambda real: lambda url, *a, **k: real(url.partition("?")[0], *a, **k)
        ),
        "callbacks::call_is_a_plain_post_of_json_at_the_address_as_it_was_given",
        "callbacks::callback_sent_in_a_form_is_called",
    ),
    Bug("prompts-come-first", late_and_out_of_order, "callbacks::tune_is_told_before_its_prompts"),
    Bug(
        "tune-is-told-of-as-it-is-made",
        within(tunes, "make_tune", at_creation),
        "callbacks::nothing_is_told_while_the_object_is_not_final",
        "callbacks::faceid_tune_tells_nobody",
    ),
    Bug(
        "deletion-is-told",
        within(prompts, "remove_prompt", at_deletion("prompt")),
        "callbacks::nothing_is_told_of_what_was_deleted",
    ),
    Bug(
        "failing-receiver-is-called-again",
        within(door, "post", retried),
        "callbacks::answer_of_the_receiver_changes_nothing",
    ),
    Bug(
        "prompt-is-told-of-twice",
        within(generation, "end_prompt", twice),
        "callbacks::ended_prompt_is_told_once_and_reduced",
        "callbacks::nobody_is_told_twice_of_one_object",
    ),
    Bug(
        "run-is-told-of-twice",
        within(generation, "tell_run", run_twice),
        "callbacks::pack_run_tells_of_the_tune_of_each_prompt_and_once_of_all",
        "callbacks::run_on_tunes_that_exist_tells_once_of_all",
    ),
    Bug(
        "callback-names-another-tune",
        within(presentation, "callback_body", other_base),
        "callbacks::prompt_moved_to_a_base_is_told_of_with_the_base",
    ),
    Bug(
        "expiry-is-told",
        within(training, "erase_tune", told_when_expired),
        "expiry::expiry_calls_nobody",
    ),
    Bug(
        "repeat-is-told",
        within(tunes, "make_tune", told_again),
        "idempotency::repeat_calls_nobody",
    ),
    # -- adapters
    Bug(
        "prompt-stays-under-its-lora",
        within(
            prompt_creation,
            "_rehomed",
            lambda real: lambda s, home, given: (given.get("text") or "", home),
        ),
        "adapters::prompt_under_a_lora_moves_to_the_base",
        "adapters::prompt_by_body_moves_as_well",
        "adapters::prompt_under_a_faceid_tune_moves_to_the_base",
        "themes::theme_on_a_lora_moves_its_prompts",
    ),
    Bug(
        "every-prompt-gets-a-token",
        within(prompt_creation, "_rehomed", prefixed),
        "adapters::text_that_names_the_lora_stays_as_it_is",
        "adapters::prompt_under_a_checkpoint_stays",
    ),
    Bug(
        "named-tunes-are-not-shown",
        within(prompt_creation, "named_tunes", lambda real: lambda *_: []),
        "adapters::prompt_on_the_base_shows_the_tunes_that_its_text_names",
        "expiry::text_that_names_an_expired_tune_is_refused",
    ),
    Bug(
        "text-shows-anybodys-tune",
        within(
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
    # -- pictures
    Bug(
        "pictures-of-a-prompt-are-one",
        within(backend.MockBackend, "_pictures", one_index),
        "addresses::pictures_of_a_prompt_differ",
    ),
    Bug(
        "picture-by-address-is-empty",
        within(drawing, "draw_reference", lambda real: lambda *_: b"nothing"),
        "addresses::pictures_sent_by_address_are_shown",
    ),
    Bug(
        "video-is-empty",
        within(drawing, "clip", lambda real: lambda *_: b"nothing"),
        "addresses::video_is_a_video",
    ),
    Bug(
        "seed-is-ignored",
        within(generation, "generate_job", seeded()),
        "determinism::seed_decides_the_pictures",
    ),
    Bug(
        "prompts-without-a-seed-have-one",
        within(generation, "generate_job", seeded(seed=1)),
        "determinism::prompts_without_a_seed_differ",
    ),
    Bug(
        "pictures-have-one-size",
        within(generation, "picture_size", lambda real: lambda *_: (64, 64)),
        "determinism::picture_has_the_size_that_was_asked_for",
        "determinism::picture_has_the_shape_that_was_asked_for",
    ),
    # -- deletion and expiry
    Bug(
        "files-stay",
        files_stay,
        "deletion::deleted_prompt_is_gone_with_its_files",
        "expiry::expired_tune_stays_and_its_files_and_prompts_go",
    ),
    Bug(
        "prompts-of-a-deleted-tune-stay",
        within(tunes, "remove_tune", prompts_stay),
        "deletion::deleted_tune_is_gone_with_its_prompts_and_files",
        "model::any_history_leaves_what_the_model_says",
    ),
    Bug(
        "one-more-prompt-is-deleted",
        within(prompts, "remove_prompt", one_more),
        "deletion::deletion_leaves_everything_else",
    ),
    Bug(
        "prompt-is-under-every-tune",
        within(prompts, "_under", under_any_tune),
        "deletion::prompt_is_deleted_under_its_own_tune_only",
        "adapters::moved_prompt_is_found_under_the_base_under_the_lora_and_alone",
    ),
    Bug("ids-go-back", ids_go_back, "deletion::id_of_a_deleted_object_is_not_given_again"),
    Bug(
        "prompts-that-name-a-lora-go-with-it",
        within(tunes, "remove_tune", all_that_name_it),
        "deletion::deleted_lora_takes_only_the_prompts_made_under_it",
    ),
    Bug(
        "expired-tune-is-used",
        within(
            prompt_creation,
            "check_prompt",
            lambda real: lambda *a, uses=(), **k: real(*a, uses=(), **k),
        ),
        "expiry::prompt_on_an_expired_tune_is_refused",
        "packs::template_needs_a_tune_in_its_text",
    ),
    Bug(
        "storage-is-not-extended",
        within(tunes, "make_tune", without_auto_extend),
        "expiry::auto_extend_keeps_a_tune_for_30_days_more_and_more",
    ),
    Bug(
        "expired-tune-cannot-be-deleted",
        within(tunes, "own", not_when_expired),
        "expiry::expired_tune_can_be_deleted",
    ),
    # -- idempotency
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
        patched(prompt_creation, FINGERPRINT=tuple(name for name in COUNTS if name != "scheduler")),
        "idempotency::documented_attribute_makes_another_prompt",
    ),
    Bug(
        "style-makes-another-prompt",
        patched(prompt_creation, FINGERPRINT=(*COUNTS, "style")),
        "idempotency::any_other_attribute_makes_no_other_prompt",
    ),
    Bug(
        "old-title-is-remembered",
        patched(tunes, title_ref=lambda title: title_ref("")),
        "idempotency::tune_is_known_by_its_new_title",
    ),
    Bug(
        "copy-is-the-original",
        within(prompts, "make_prompt", lambda real: lambda *a, is_copy=False, **k: real(*a, **k)),
        "idempotency::copy_is_always_another_prompt",
    ),
    # -- likes, copies, packs, themes, texts
    Bug(
        "likes-add-up",
        within(likes, "_set", likes_add_up),
        "likes::repeated_like_changes_nothing",
        "concurrency::likes_at_once_count_once",
    ),
    Bug(
        "originals-are-not-liked",
        within(likes, "_visible", lambda real: lambda *_: None),
        "likes::copys_like_counts_for_the_original_too",
        "likes::like_is_taken_back_where_it_was_counted",
    ),
    Bug(
        "like-counts-for-later-prompts",
        within(likes, "_set", likes_spread),
        "likes::originals_like_does_not_count_for_its_copies",
        "likes::like_of_one_prompt_is_not_anothers",
    ),
    Bug(
        "like-changes-the-text",
        within(likes, "_set", likes_change_the_text),
        "likes::like_changes_nothing_else",
    ),
    Bug(
        "copy-forgets-the-style",
        within(prompts, "prompt_attributes", forgotten("style", "seed", "cfg_scale")),
        "duplicate::copy_is_a_new_prompt_with_the_same_attributes",
        "values::copy_reads_back_what_it_changes_and_what_it_does_not",
    ),
    Bug(
        "copy-forgets-its-input",
        within(prompts, "kept_media", lambda real: lambda *_: {}),
        "duplicate::copy_keeps_its_input_when_the_original_is_gone",
    ),
    Bug(
        "addresses-beside-files-are-lost",
        within(tunes, "make_tune", url_or_file),
        "forms::files_and_addresses_may_stand_together",
    ),
    Bug(
        "characteristics-are-not-filled-in",
        unfilled(prompt_creation, packs),
        "values::characteristics_fill_the_texts_of_prompts",
        "packs::run_with_pictures_trains_and_makes_the_prompts_of_the_class",
        "packs::templates_of_an_own_pack_are_filled",
    ),
    Bug(
        "theme-makes-nine-prompts",
        patched(theme_handlers, VARIATIONS=theme_handlers.VARIATIONS[:9]),
        "themes::theme_makes_ten_different_prompts_for_each_tune",
    ),
)
