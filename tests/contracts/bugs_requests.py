"""Planted bugs of forms, pages and filters, and the properties that find each."""

from typing import Any

from planting import (
    JSON,
    Bug,
    Environ,
    Real,
    body_contains,
    body_of,
    json_answer,
    kind_of,
    replace_function,
    replaced,
)
from wire_changes import (
    ANY,
    BROKEN,
    LISTS,
    NOT_FOUND,
    PROMPTS,
    answer_instead,
    change_answer,
    change_body,
    change_environ,
    change_query,
    change_status,
    ignore_query,
    replace_bytes,
    without,
)

from astria_emulator.api.handlers import tunes

UNTYPED = json_answer(415, {"status": 415, "error": "Unsupported Media Type"})
BLANK = json_answer(422, {"name": ["can't be blank"]})
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


def is_unwrapped(environ: Environ) -> bool:
    words = (b'"tune": {', b'"prompt": {', b'"theme": {', b'"workspace": {', b'"pack": {')
    return kind_of(environ) == JSON and not any(word in body_of(environ) for word in words)


def outer_wins(body: Any) -> Any:
    inner = body.get("prompt") if isinstance(body, dict) else None
    return {"prompt": {**inner, **without("prompt")(body)}} if isinstance(inner, dict) else body


def numbered_is_a_name(environ: Environ) -> None:
    """Numbers in brackets are names like others."""
    if URLENCODED in kind_of(environ):
        replaced(
            environ,
            body_of(environ).replace(b"%5B0%5D", b"%5Bx%5D").replace(b"%5B1%5D", b"%5By%5D"),
        )
    elif "multipart" in kind_of(environ):
        replaced(environ, body_of(environ).replace(b"[images][0]", b"[images][x]"))


def url_or_file(real: Real) -> Real:
    def make(services: Any, caller: Any, body: Any) -> Any:
        files = body.get("images")
        return real(services, caller, without("image_urls")(body) if files else body)

    return make


BUGS = (
    # -- forms
    Bug(
        "broken-body-is-422",
        change_status("POST", ".*", 400, 422),
        "forms::body_that_cannot_be_read_is_refused",
        "witnesses::request_that_cannot_be_taken_is_refused",
    ),
    Bug(
        "slash-at-the-end-is-another-path",
        answer_instead(
            ANY,
            ".*",
            NOT_FOUND,
            when=lambda env: len(env["PATH_INFO"]) > 1 and env["PATH_INFO"].endswith("/"),
        ),
        "forms::path_may_end_in_json_or_a_slash",
    ),
    Bug(
        "content-type-needs-a-body",
        answer_instead("GET DELETE", ".*", BROKEN, when=lambda env: kind_of(env) == JSON),
        "forms::content_type_without_a_body_does_not_matter",
    ),
    Bug(
        "charset-makes-another-type",
        answer_instead(
            "POST", ".*", UNTYPED, when=lambda env: "charset" in env.get("CONTENT_TYPE", "")
        ),
        "forms::charset_beside_the_content_type_does_not_matter",
    ),
    Bug(
        "some-operations-read-no-forms",
        answer_instead(
            "POST PATCH",
            r"/prompts|/packs|/workspaces.*|/images.*|/themes|/p/.*|.*/duplicate|.*/\d+",
            UNTYPED,
            when=lambda env: "urlencoded" in kind_of(env),
        ),
        "forms::form_does_what_json_does",
        "forms::form_runs_a_pack_as_json_does",
        "forms::form_makes_a_theme_as_json_does",
        "duplicate::copy_takes_changes",
    ),
    Bug(
        "numbers-must-not-be-text",
        answer_instead(
            "POST",
            ".*",
            json_answer(422, {"num_images": ["is not a number"]}),
            when=body_contains(b'"num_images": "'),
        ),
        "forms::numbers_and_booleans_may_be_text",
        "forms::blank_text_counts_as_absent",
    ),
    Bug(
        "unknown-attributes-are-refused",
        answer_instead(
            "POST",
            ".*",
            json_answer(422, {"sampler": ["is unknown"]}),
            when=body_contains(b"sampler", b"width"),
        ),
        "forms::unknown_attributes_are_ignored",
    ),
    Bug(
        "empty-file-input-is-a-file",
        answer_instead(
            "POST",
            ".*",
            json_answer(422, {"images": ["is not an image"]}),
            when=body_contains(b'filename=""'),
        ),
        "forms::file_input_left_empty_is_passed_over",
    ),
    Bug(
        "attributes-need-their-wrapper",
        answer_instead("POST", r"/tunes|/themes|.*/prompts", BLANK, when=is_unwrapped),
        "forms::attributes_may_stand_without_their_wrapper",
        "themes::theme_may_stand_without_its_wrapper",
    ),
    Bug(
        "attributes-outside-their-wrapper-count",
        change_body("POST", r".*/prompts", outer_wins),
        "forms::attributes_outside_their_wrapper_are_ignored",
    ),
    Bug(
        "numbers-in-brackets-are-names",
        change_environ(numbered_is_a_name),
        "forms::list_is_written_with_empty_or_with_numbered_brackets",
        "forms::files_are_written_with_empty_or_with_numbered_brackets",
        "forms::nested_objects_may_be_numbered",
    ),
    Bug(
        "nested-objects-are-one",
        replace_bytes(
            URLENCODED, rb"prompts_attributes%5D%5B%5D", rb"prompts_attributes%5D%5B0%5D"
        ),
        "forms::nested_object_begins_where_a_key_repeats",
    ),
    Bug(
        "object-is-no-json-text",
        replace_bytes(URLENCODED, rb"characteristics%5D=%7B", rb"other%5D=%7B"),
        "forms::object_is_written_as_fields_or_as_json_text",
    ),
    Bug(
        "plus-is-a-plus",
        replace_bytes(URLENCODED, rb"\+", rb"%2B"),
        "forms::text_of_any_kind_comes_through",
        "forms::form_makes_the_tune_that_json_makes",
        "forms::form_makes_the_prompt_that_json_makes",
    ),
    Bug(
        "addresses-beside-files-are-lost",
        replace_function(tunes, "make_tune", url_or_file),
        "forms::files_and_addresses_may_stand_together",
    ),
    # -- paging
    Bug(
        "list-lacks-pictures",
        change_answer("GET", PROMPTS, lambda found: [{**p, "images": []} for p in found]),
        "paging::list_shows_the_objects_as_they_are",
        "values::what_was_sent_is_still_there_at_the_end",
        "adapters::moved_prompt_is_found_under_the_base_under_the_lora_and_alone",
    ),
    Bug(
        "page-includes-its-cursor",
        change_query(LISTS, lambda q: number(q, "before_id", 1)),
        "paging::walk_by_before_id_is_the_whole_list",
        "paging::what_is_made_during_a_walk_moves_nothing",
    ),
    Bug(
        "offset-is-ignored",
        ignore_query("offset"),
        "paging::walk_by_offset_is_the_whole_list",
        "paging::offset_may_stand_beside_before_id",
        "paging::offset_that_is_too_deep_is_refused_and_names_before_id",
    ),
    Bug(
        "page-holds-a_hundred",
        change_query(LISTS, at_most("limit", 100)),
        "paging::page_holds_twenty_unless_it_is_told_and_at_most_120",
    ),
    Bug("title-is-no-filter", ignore_query("title"), "paging::tunes_are_filtered"),
    Bug("branch-is-no-filter", ignore_query("branch"), "paging::tunes_are_filtered_by_kind"),
    Bug("likes-are-no-filter", ignore_query("liked"), "paging::prompts_are_filtered"),
    Bug("today-is-always", ignore_query("today"), "paging::prompts_of_today_are_those_of_this_day"),
)
