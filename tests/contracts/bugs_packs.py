"""Planted bugs of packs, themes and likes, and the properties that find each."""

from typing import Any

from planting import Bug, Real, body_contains, json_answer, replace_function, replace_values
from wire_changes import (
    ANY,
    NOT_FOUND,
    PROMPT,
    answer_instead,
    change_attributes,
    change_fields,
    ignore_query,
)

from astria_emulator.api.handlers import likes
from astria_emulator.api.handlers import themes as theme_handlers
from astria_emulator.storage.store import Query


def template_is_none(prompt: dict[str, Any]) -> dict[str, Any]:
    return {} if "<" in prompt.get("text", "") else {"pack_id": None}


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


BUGS = (
    # -- packs
    Bug(
        "order-is-not-shown",
        change_fields(PROMPT, lambda _: {"order_id": None}),
        "packs::run_for_several_tunes_shows_all_in_every_prompt",
    ),
    Bug(
        "pack-shows-no-costs",
        change_fields("/p/[^/]+", lambda _: {"costs": {}}),
        "packs::pack_shows_its_classes_costs_and_templates",
    ),
    Bug(
        "pack-has-no-number",
        answer_instead("GET", r"/p/\d+", NOT_FOUND),
        "packs::pack_is_found_by_number_and_by_slug",
    ),
    Bug(
        "pack-for-several-runs-without-tunes",
        answer_instead(
            "POST",
            "/p/lookbook/tunes",
            json_answer(201, {"status": 201, "message": "Prompts created"}),
        ),
        "packs::run_for_several_tunes_needs_them",
    ),
    Bug(
        "all-packs-are-public", ignore_query("public"), "packs::own_packs_are_listed_and_not_public"
    ),
    Bug(
        "pack-uses-all-its-templates",
        change_attributes("tune", lambda _: {"prompt_ids": None}),
        "packs::run_uses_only_the_templates_that_it_names",
    ),
    Bug(
        "pack-keeps-its-attributes",
        change_attributes("tune", lambda _: {"prompt_attributes": None}),
        "packs::attributes_of_a_run_replace_the_templates",
        "callbacks::ended_prompt_is_told_once_and_reduced[run_pack]",
    ),
    Bug(
        "pack-knows-every-class",
        change_attributes(
            "tune", lambda t: {"name": "woman"} if t.get("name") == "no such class" else {}
        ),
        "packs::run_that_is_refused_says_why_and_makes_nothing",
    ),
    Bug(
        "pack-runs-for-one-tune",
        change_attributes(
            "tune", lambda t: {"tune_ids": t["tune_ids"][:1]} if t.get("tune_ids") else {}
        ),
        "packs::run_on_tunes_makes_the_prompts_of_each",
        "packs::run_for_several_tunes_shows_all_in_every_prompt",
    ),
    Bug(
        "template-needs-no-tune",
        change_attributes("prompt", template_is_none),
        "packs::template_needs_a_tune_in_its_text",
    ),
    # -- themes
    Bug(
        "theme-takes-no-more-than-eight-pictures",
        answer_instead(
            "POST",
            "/themes",
            json_answer(422, {"num_images": ["is too large"]}),
            when=body_contains(b": 100"),
        ),
        "themes::number_of_pictures_is_at_most_eight",
    ),
    Bug(
        "theme-is-for-one-tune",
        change_attributes(
            "theme", lambda t: {"tune_ids": t["tune_ids"][:1] or [1]} if t.get("tune_ids") else {}
        ),
        "themes::theme_makes_ten_different_prompts_for_each_tune",
    ),
    Bug(
        "theme-makes-nine-prompts",
        replace_values(theme_handlers, VARIATIONS=theme_handlers.VARIATIONS[:9]),
        "themes::theme_makes_ten_different_prompts_for_each_tune",
    ),
    # -- likes
    Bug(
        "like-has-no-other-name",
        answer_instead(ANY, r"/prompts/\d+/like", NOT_FOUND),
        "likes::like_is_counted_and_taken_back",
    ),
    Bug(
        "likes-add-up",
        replace_function(likes, "_set", likes_add_up),
        "likes::repeated_like_changes_nothing",
        "concurrency::likes_at_once_count_once",
    ),
    Bug(
        "originals-are-not-liked",
        replace_function(likes, "_visible", lambda real: lambda *_: None),
        "likes::copys_like_counts_for_the_original_too",
        "likes::like_is_taken_back_where_it_was_counted",
    ),
    Bug(
        "like-counts-for-later-prompts",
        replace_function(likes, "_set", likes_spread),
        "likes::originals_like_does_not_count_for_its_copies",
        "likes::like_of_one_prompt_is_not_anothers",
    ),
    Bug(
        "like-changes-the-text",
        replace_function(likes, "_set", likes_change_the_text),
        "likes::like_changes_nothing_else",
    ),
)
