"""Planted bugs of the life cycle, expiry and deletion, and the properties that find each."""

from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from planting import (
    Answer,
    Bug,
    Call,
    Environ,
    Real,
    intercept,
    is_at,
    json_answer,
    replace_function,
    replace_values,
    send_callback,
)
from wire_changes import (
    ANY_PROMPT,
    CHANGED,
    PROMPT,
    PROMPTS,
    TUNE,
    TUNES,
    answer_by_status,
    change_answer,
    change_attributes,
    change_fields,
)

from astria_emulator.api.handlers import prompts, tunes
from astria_emulator.app import Emulator
from astria_emulator.domain import lifecycle
from astria_emulator.errors import NotFound
from astria_emulator.objects import prompts as prompt_creation
from astria_emulator.storage.store import Query
from astria_emulator.work import training

TICK = count()
CACHE: dict[str, Answer] = {}


def seen_for_ever(environ: Environ, call: Call) -> Answer:
    """What has been read once is answered from a cache."""
    path = environ["PATH_INFO"]
    if not is_at(environ, "GET", CHANGED):
        return call(environ)
    if path not in CACHE or CACHE[path].status != 200:
        CACHE[path] = call(environ)
    return CACHE[path]


def files_stay(patch: pytest.MonkeyPatch, app: Emulator) -> None:
    patch.setattr(app.services.files, "delete", lambda keys: None)


def told_when_expired(real: Real) -> Real:
    def erase(services: Any, row: Any) -> None:
        real(services, row)
        send_callback(services, row, "tune")

    return erase


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


BUGS = (
    # -- lifecycle
    Bug(
        "tune-is-trained-as-it-is-made",
        change_fields(TUNES, lambda t: {"trained_at": t["created_at"]}, method="POST"),
        "lifecycle::new_tune_has_begun_nothing",
    ),
    Bug(
        "tune-shows-no-list-of-weights",
        change_fields(TUNE, lambda t: {"ckpt_urls": []} if "ckpt_urls" in t else {}),
        "lifecycle::tune_hands_out_its_weights_once_trained",
    ),
    Bug(
        "prompt-shows-a-picture-at-once",
        change_fields(ANY_PROMPT, lambda p: {"images": [p["url"]]}, method="POST"),
        "lifecycle::new_prompt_has_no_pictures",
    ),
    Bug(
        "one-picture-is-missing",
        change_fields(PROMPT, lambda p: {"images": p["images"][:-1]}),
        "lifecycle::prompt_goes_forward_to_its_pictures",
        "callbacks::ended_prompt_is_told_once_and_reduced",
    ),
    Bug(
        "prompt-begins-as-it-is-made",
        change_fields(PROMPT, lambda p: {"started_training_at": p["created_at"]}),
        "lifecycle::prompt_waits_for_its_tune",
        "adapters::prompt_waits_for_the_lora_that_it_names",
    ),
    Bug(
        "ended-objects-go-on-changing",
        change_fields(
            f"{TUNE}|{PROMPT}", lambda _: {"updated_at": f"2990-01-01T00:00:{next(TICK):06.3f}Z"}
        ),
        "lifecycle::what_has_ended_stays_as_it_is",
        "expiry::tune_lasts_until_its_time",
        "deletion::deletion_leaves_everything_else",
    ),
    Bug(
        "ids-descend",
        change_fields(f"{TUNES}|{PROMPTS}", lambda o: {"id": 10**9 - o["id"]}, method="POST"),
        "lifecycle::ids_ascend",
        "deletion::id_of_a_deleted_object_is_not_given_again",
    ),
    Bug(
        "faceid-tune-is-not-ready",
        change_fields(TUNES, lambda t: {"trained_at": None, "expires_at": None}, method="POST"),
        "lifecycle::faceid_tune_is_ready_as_it_is_made",
    ),
    Bug(
        "list-lacks-a-prompt",
        change_answer("GET", r"/tunes/\d+/prompts", lambda found: found[:1] + found[2:]),
        "lifecycle::nested_prompts_are_made_in_their_order",
        "values::nested_prompts_read_back",
        "model::any_history_leaves_what_the_model_says",
        "themes::theme_makes_ten_different_prompts_for_each_tune",
    ),
    Bug(
        "what-was-read-is-never-read-again",
        intercept(seen_for_ever),
        "lifecycle::tune_goes_forward_to_its_end",
        "lifecycle::patch_changes_the_time_of_change_and_no_other",
        "deletion::deleted_tune_is_gone_with_its_prompts_and_files",
        "deletion::what_is_deleted_at_work_does_not_come_back",
        "likes::repeated_like_changes_nothing",
        "expiry::expired_tune_can_be_deleted",
    ),
    Bug(
        "nested-prompts-are-reversed",
        change_attributes(
            "tune", lambda t: {"prompts_attributes": t.get("prompts_attributes", [])[::-1] or None}
        ),
        "lifecycle::nested_prompts_are_made_in_their_order",
        "values::nested_prompts_read_back",
    ),
    Bug(
        "tune-lasts-29-days",
        replace_values(lifecycle, STORAGE=timedelta(days=29)),
        "lifecycle::tune_goes_forward_to_its_end",
        "expiry::tune_lasts_until_its_time",
    ),
    # -- expiry
    Bug(
        "expiry-is-told",
        replace_function(training, "erase_tune", told_when_expired),
        "expiry::expiry_calls_nobody",
    ),
    Bug(
        "expired-tune-is-used",
        replace_function(
            prompt_creation,
            "check_prompt",
            lambda real: lambda *a, uses=(), **k: real(*a, uses=(), **k),
        ),
        "expiry::prompt_on_an_expired_tune_is_refused",
        "packs::template_needs_a_tune_in_its_text",
    ),
    Bug(
        "storage-is-not-extended",
        replace_function(tunes, "make_tune", without_auto_extend),
        "expiry::auto_extend_keeps_a_tune_for_30_days_more_and_more",
    ),
    Bug(
        "expired-tune-cannot-be-deleted",
        replace_function(tunes, "own", not_when_expired),
        "expiry::expired_tune_can_be_deleted",
    ),
    # -- deletion
    Bug(
        "deletion-succeeds-twice",
        answer_by_status(
            404, json_answer(200, {"message": "Prompt successfully deleted"}), "DELETE"
        ),
        "deletion::second_deletion_is_not_found",
        "deletion::gallery_cannot_be_changed",
    ),
    Bug(
        "files-stay",
        files_stay,
        "deletion::deleted_prompt_is_gone_with_its_files",
        "expiry::expired_tune_stays_and_its_files_and_prompts_go",
    ),
    Bug(
        "prompts-of-a-deleted-tune-stay",
        replace_function(tunes, "remove_tune", prompts_stay),
        "deletion::deleted_tune_is_gone_with_its_prompts_and_files",
        "model::any_history_leaves_what_the_model_says",
    ),
    Bug(
        "one-more-prompt-is-deleted",
        replace_function(prompts, "remove_prompt", one_more),
        "deletion::deletion_leaves_everything_else",
    ),
    Bug(
        "prompt-is-under-every-tune",
        replace_function(prompts, "_under", under_any_tune),
        "deletion::prompt_is_deleted_under_its_own_tune_only",
        "adapters::moved_prompt_is_found_under_the_base_under_the_lora_and_alone",
    ),
    Bug("ids-go-back", ids_go_back, "deletion::id_of_a_deleted_object_is_not_given_again"),
    Bug(
        "prompts-that-name-a-lora-go-with-it",
        replace_function(tunes, "remove_tune", all_that_name_it),
        "deletion::deleted_lora_takes_only_the_prompts_made_under_it",
    ),
)
