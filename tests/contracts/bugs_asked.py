"""Planted bugs of how a request is read, and the properties that each turns red."""

from typing import Any

from planting import (
    JSON,
    Bug,
    Environ,
    Plant,
    asked,
    body_of,
    instead,
    kind_of,
    queried,
    replaced,
    rewritten,
    said,
    told,
    with_environ,
    without,
)

LISTS = r"/tunes|/prompts|/tunes/\d+/prompts"
BLANK = said(422, {"name": ["can't be blank"]})
URLENCODED = "urlencoded"


def number(query: dict[str, str], name: str, change: int) -> dict[str, str]:
    """A query with another number."""
    value = query.get(name, "")
    return {**query, name: str(int(value) + change)} if value.isdecimal() else query


def at_most(name: str, most: int) -> Any:
    def change(query: dict[str, str]) -> dict[str, str]:
        value = query.get(name, "")
        return {**query, name: str(min(int(value), most))} if value.isdecimal() else query

    return change


def ignored(*names: str) -> Plant:
    return queried(LISTS + "|/packs", without(*names))


def is_unwrapped(environ: Environ) -> bool:
    words = (b'"tune": {', b'"prompt": {', b'"theme": {', b'"workspace": {', b'"pack": {')
    return kind_of(environ) == JSON and not any(word in body_of(environ) for word in words)


def outer_wins(body: Any) -> Any:
    inner = body.get("prompt") if isinstance(body, dict) else None
    return {"prompt": {**inner, **without("prompt")(body)}} if isinstance(inner, dict) else body


def template_is_none(prompt: dict[str, Any]) -> dict[str, Any]:
    return {} if "<" in prompt.get("text", "") else {"pack_id": None}


def numbered_is_a_name(environ: Environ) -> None:
    """Numbers in brackets are names like others."""
    if URLENCODED in kind_of(environ):
        replaced(
            environ,
            body_of(environ).replace(b"%5B0%5D", b"%5Bx%5D").replace(b"%5B1%5D", b"%5By%5D"),
        )
    elif "multipart" in kind_of(environ):
        replaced(environ, body_of(environ).replace(b"[images][0]", b"[images][x]"))


ASKED = (
    # -- pages and filters
    Bug(
        "page-includes-its-cursor",
        queried(LISTS, lambda q: number(q, "before_id", 1)),
        "paging::walk_by_before_id_is_the_whole_list",
        "paging::what_is_made_during_a_walk_moves_nothing",
    ),
    Bug(
        "offset-is-ignored",
        ignored("offset"),
        "paging::walk_by_offset_is_the_whole_list",
        "paging::offset_may_stand_beside_before_id",
        "paging::offset_that_is_too_deep_is_refused_and_names_before_id",
    ),
    Bug(
        "page-holds-a_hundred",
        queried(LISTS, at_most("limit", 100)),
        "paging::page_holds_twenty_unless_it_is_told_and_at_most_120",
    ),
    Bug("title-is-no-filter", ignored("title"), "paging::tunes_are_filtered"),
    Bug("branch-is-no-filter", ignored("branch"), "paging::tunes_are_filtered_by_kind"),
    Bug("likes-are-no-filter", ignored("liked"), "paging::prompts_are_filtered"),
    Bug("today-is-always", ignored("today"), "paging::prompts_of_today_are_those_of_this_day"),
    Bug(
        "original-is-no-filter",
        ignored("orig_prompt_id"),
        "duplicate::copies_are_found_by_their_original",
    ),
    Bug("all-packs-are-public", ignored("public"), "packs::own_packs_are_listed_and_not_public"),
    Bug(
        "query-that-cannot-be-read-is-ignored",
        queried(
            LISTS, lambda q: {k: v for k, v in q.items() if v not in ("many", "x", "perhaps", "-1")}
        ),
        "errors::query_that_cannot_be_read_is_a_bad_request",
    ),
    # -- attributes
    Bug(
        "eight-pictures-are-too-many",
        told("prompt", lambda p: {"num_images": 9} if p.get("num_images") == 8 else {}),
        "constraints::value_within_is_taken[create_tune_prompt]",
    ),
    Bug(
        "nine-pictures-are-eight",
        told("prompt", lambda p: {"num_images": 8} if p.get("num_images") == 9 else {}),
        "constraints::value_beyond_is_refused_by_name[create_tune_prompt]",
    ),
    Bug(
        "nested-prompts-are-reversed",
        told(
            "tune", lambda t: {"prompts_attributes": t.get("prompts_attributes", [])[::-1] or None}
        ),
        "lifecycle::nested_prompts_are_made_in_their_order",
        "values::nested_prompts_read_back",
    ),
    Bug(
        "title-is-trimmed",
        told("tune", lambda t: {"title": str(t["title"]).strip()} if t.get("title") else {}),
        "values::long_texts_read_back",
    ),
    Bug(
        "text-is-unescaped",
        told(
            "prompt",
            lambda p: {"text": str(p["text"]).replace("&amp;", "&")} if p.get("text") else {},
        ),
        "values::what_was_sent_is_still_there_at_the_end",
    ),
    Bug(
        "change-of-a-title-is-one-of-the-name",
        asked("PATCH", r"/tunes/\d+", lambda b: {"tune": {"name": "man", **b.get("tune", {})}}),
        "values::change_of_a_tune_changes_that_alone",
    ),
    Bug(
        "change-of-a-workspace-clears-its-brief",
        asked(
            "PATCH", r"/workspaces/\d+", lambda b: {"workspace": {"brief": None, **b["workspace"]}}
        ),
        "values::change_of_a_workspace_changes_that_alone",
    ),
    Bug(
        "copy-keeps-the-seed",
        asked(
            "POST", ".*/duplicate", lambda b: {**b, "prompt": without("seed")(b.get("prompt", {}))}
        ),
        "duplicate::copy_takes_changes",
    ),
    Bug(
        "copy-starts-from-nothing",
        asked("POST", ".*/duplicate", without("image_index")),
        "duplicate::copy_starts_from_one_of_the_originals_pictures",
        "duplicate::copy_refuses_a_wrong_change",
    ),
    Bug(
        "pack-uses-all-its-templates",
        told("tune", lambda _: {"prompt_ids": None}),
        "packs::run_uses_only_the_templates_that_it_names",
    ),
    Bug(
        "pack-keeps-its-attributes",
        told("tune", lambda _: {"prompt_attributes": None}),
        "packs::attributes_of_a_run_replace_the_templates",
        "callbacks::ended_prompt_is_told_once_and_reduced[run_pack]",
    ),
    Bug(
        "pack-knows-every-class",
        told("tune", lambda t: {"name": "woman"} if t.get("name") == "no such class" else {}),
        "packs::run_that_is_refused_says_why_and_makes_nothing",
    ),
    Bug(
        "pack-runs-for-one-tune",
        told("tune", lambda t: {"tune_ids": t["tune_ids"][:1]} if t.get("tune_ids") else {}),
        "packs::run_on_tunes_makes_the_prompts_of_each",
        "packs::run_for_several_tunes_shows_all_in_every_prompt",
    ),
    Bug(
        "template-needs-no-tune",
        told("prompt", template_is_none),
        "packs::template_needs_a_tune_in_its_text",
    ),
    Bug(
        "theme-is-for-one-tune",
        told(
            "theme", lambda t: {"tune_ids": t["tune_ids"][:1] or [1]} if t.get("tune_ids") else {}
        ),
        "themes::theme_makes_ten_different_prompts_for_each_tune",
    ),
    # -- wrappers and forms
    Bug(
        "attributes-need-their-wrapper",
        instead("POST", r"/tunes|/themes|.*/prompts", BLANK, when=is_unwrapped),
        "forms::attributes_may_stand_without_their_wrapper",
        "themes::theme_may_stand_without_its_wrapper",
    ),
    Bug(
        "attributes-outside-their-wrapper-count",
        asked("POST", r".*/prompts", outer_wins),
        "forms::attributes_outside_their_wrapper_are_ignored",
    ),
    Bug(
        "numbers-in-brackets-are-names",
        with_environ(numbered_is_a_name),
        "forms::list_is_written_with_empty_or_with_numbered_brackets",
        "forms::files_are_written_with_empty_or_with_numbered_brackets",
        "forms::nested_objects_may_be_numbered",
    ),
    Bug(
        "nested-objects-are-one",
        rewritten(URLENCODED, rb"prompts_attributes%5D%5B%5D", rb"prompts_attributes%5D%5B0%5D"),
        "forms::nested_object_begins_where_a_key_repeats",
    ),
    Bug(
        "object-is-no-json-text",
        rewritten(URLENCODED, rb"characteristics%5D=%7B", rb"other%5D=%7B"),
        "forms::object_is_written_as_fields_or_as_json_text",
    ),
    Bug(
        "plus-is-a-plus",
        rewritten(URLENCODED, rb"\+", rb"%2B"),
        "forms::text_of_any_kind_comes_through",
        "forms::form_makes_the_tune_that_json_makes",
        "forms::form_makes_the_prompt_that_json_makes",
    ),
    Bug(
        "scale-of-a-nested-prompt-is-lost",
        told(
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
)
