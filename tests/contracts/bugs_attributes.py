"""Planted bugs of attributes, copies and adapters, and the properties that find each."""

from collections.abc import Callable
from typing import Any

import pytest
from planting import Bug, Plant, Real, replace_function
from wire_changes import (
    ANY_PROMPT,
    COPY,
    TUNES,
    change_answer,
    change_attributes,
    change_body,
    change_fields,
    ignore_query,
    without,
)

from astria_emulator.api.handlers import prompts
from astria_emulator.app import Emulator
from astria_emulator.objects import packs
from astria_emulator.objects import prompts as prompt_creation


def prefixed(real: Real) -> Real:
    def rehomed(services: Any, home: Any, given: Any) -> tuple[str, Any]:
        text, base = real(services, home, given)
        return f"<lora:{home.id}:1> {given.get('text') or text}", base

    return rehomed


def unfilled(*modules: Any) -> Plant:
    def plant(patch: pytest.MonkeyPatch, app: Emulator) -> None:
        for module in modules:
            patch.setattr(module, "fill", lambda text, known: text)

    return plant


def forgotten(*names: str) -> Callable[[Real], Real]:
    return lambda real: lambda *given, **more: without(*names)(real(*given, **more))


BUGS = (
    # -- values
    Bug(
        "list-lacks-the-token",
        change_answer("GET", TUNES, lambda found: [{**t, "token": None} for t in found]),
        "values::tune_is_shown_alike_everywhere",
        "values::tune_reads_back",
    ),
    Bug(
        "style-is-lost",
        change_fields(ANY_PROMPT, lambda _: {"style": None}),
        "values::prompt_reads_back",
    ),
    Bug(
        "video-has-no-duration",
        change_fields(ANY_PROMPT, lambda _: {"video_duration": None}),
        "values::video_reads_back",
    ),
    Bug(
        "prompt-is-in-no-workspace",
        change_fields(ANY_PROMPT, lambda _: {"workspace_id": None}),
        "values::objects_that_a_prompt_belongs_to_read_back",
        "values::change_of_a_prompt_changes_that_alone",
    ),
    Bug(
        "subtitle-and-brief-are-lost",
        change_fields(
            "/packs|/workspaces", lambda o: dict.fromkeys(o.keys() & {"subtitle", "brief"})
        ),
        "values::pack_and_workspace_read_back",
    ),
    Bug(
        "title-is-trimmed",
        change_attributes(
            "tune", lambda t: {"title": str(t["title"]).strip()} if t.get("title") else {}
        ),
        "values::long_texts_read_back",
    ),
    Bug(
        "text-is-unescaped",
        change_attributes(
            "prompt",
            lambda p: {"text": str(p["text"]).replace("&amp;", "&")} if p.get("text") else {},
        ),
        "values::what_was_sent_is_still_there_at_the_end",
    ),
    Bug(
        "change-of-a-title-is-one-of-the-name",
        change_body(
            "PATCH", r"/tunes/\d+", lambda b: {"tune": {"name": "man", **b.get("tune", {})}}
        ),
        "values::change_of_a_tune_changes_that_alone",
    ),
    Bug(
        "change-of-a-workspace-clears-its-brief",
        change_body(
            "PATCH", r"/workspaces/\d+", lambda b: {"workspace": {"brief": None, **b["workspace"]}}
        ),
        "values::change_of_a_workspace_changes_that_alone",
    ),
    Bug(
        "characteristics-are-not-filled-in",
        unfilled(prompt_creation, packs),
        "values::characteristics_fill_the_texts_of_prompts",
        "packs::run_with_pictures_trains_and_makes_the_prompts_of_the_class",
        "packs::templates_of_an_own_pack_are_filled",
    ),
    # -- duplicate
    Bug(
        "copy-shows-no-tunes",
        change_fields(COPY, lambda _: {"tunes": []}, method="POST"),
        "duplicate::copy_of_a_moved_prompt_moves_as_well",
    ),
    Bug(
        "original-is-no-filter",
        ignore_query("orig_prompt_id"),
        "duplicate::copies_are_found_by_their_original",
    ),
    Bug(
        "copy-keeps-the-seed",
        change_body(
            "POST", ".*/duplicate", lambda b: {**b, "prompt": without("seed")(b.get("prompt", {}))}
        ),
        "duplicate::copy_takes_changes",
    ),
    Bug(
        "copy-starts-from-nothing",
        change_body("POST", ".*/duplicate", without("image_index")),
        "duplicate::copy_starts_from_one_of_the_originals_pictures",
        "duplicate::copy_refuses_a_wrong_change",
    ),
    Bug(
        "copy-forgets-the-style",
        replace_function(prompts, "prompt_attributes", forgotten("style", "seed", "cfg_scale")),
        "duplicate::copy_is_a_new_prompt_with_the_same_attributes",
        "values::copy_reads_back_what_it_changes_and_what_it_does_not",
    ),
    Bug(
        "copy-forgets-its-input",
        replace_function(prompts, "copied_media", lambda real: lambda *_: {}),
        "duplicate::copy_keeps_its_input_when_the_original_is_gone",
    ),
    # -- adapters
    Bug(
        "new-tune-has-no-kind",
        change_fields(TUNES, lambda _: {"model_type": None}, method="POST"),
        "adapters::kind_of_a_tune_follows_from_branch_and_base",
    ),
    Bug(
        "gallery-shows-no-prompts",
        change_answer("GET", "/tunes/1504944/prompts", lambda _: []),
        "adapters::gallery_lists_only_the_callers_own_prompts",
    ),
    Bug(
        "scale-of-a-nested-prompt-is-lost",
        change_attributes(
            "tune",
            lambda t: {
                "prompts_attributes": [
                    without("lora_scale")(p) for p in t.get("prompts_attributes", [])
                ]
                or None
            },
        ),
        "adapters::nested_prompt_moves_with_its_scale",
    ),
    Bug(
        "prompt-stays-under-its-lora",
        replace_function(
            prompt_creation,
            "_rehome",
            lambda real: lambda s, home, given: (given.get("text") or "", home),
        ),
        "adapters::prompt_under_a_lora_moves_to_the_base",
        "adapters::prompt_by_body_moves_as_well",
        "adapters::prompt_under_a_faceid_tune_moves_to_the_base",
        "themes::theme_on_a_lora_moves_its_prompts",
    ),
    Bug(
        "every-prompt-gets-a-token",
        replace_function(prompt_creation, "_rehome", prefixed),
        "adapters::text_that_names_the_lora_stays_as_it_is",
        "adapters::prompt_under_a_checkpoint_stays",
    ),
    Bug(
        "named-tunes-are-not-shown",
        replace_function(prompt_creation, "named_tunes", lambda real: lambda *_: []),
        "adapters::prompt_on_the_base_shows_the_tunes_that_its_text_names",
        "expiry::text_that_names_an_expired_tune_is_refused",
    ),
    # -- constraints
    Bug(
        "eight-pictures-are-too-many",
        change_attributes(
            "prompt", lambda p: {"num_images": 9} if p.get("num_images") == 8 else {}
        ),
        "constraints::value_within_is_taken[create_tune_prompt]",
    ),
    Bug(
        "nine-pictures-are-eight",
        change_attributes(
            "prompt", lambda p: {"num_images": 8} if p.get("num_images") == 9 else {}
        ),
        "constraints::value_beyond_is_refused_by_name[create_tune_prompt]",
    ),
)
