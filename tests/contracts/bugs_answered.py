"""Planted bugs of how is answered, and the properties that each turns red."""

import os
import threading
from typing import Any

from planting import (
    ALONE_SECONDS,
    JSON,
    Answer,
    Bug,
    Call,
    Environ,
    Plant,
    answers,
    at_once,
    between,
    body_of,
    instead,
    is_at,
    kind_of,
    replaced,
    said,
    turned,
    with_environ,
)

from astria_emulator.faults.rules import Struck

ANY = "GET POST PATCH PUT DELETE"
FILE, CHANGED = r"/[0-9a-z]{28}", r"/tunes/\d+|(/tunes/\d+)?/prompts/\d+"
NOT_FOUND = said(404, {"status": 404, "error": "Not Found"})
DENIED = Answer(401, {"Content-Type": "text/plain"}, b"HTTP Token: Access denied.\n")
PAGE = Answer(404, {"Content-Type": "text/html"}, b"<h1>Not Found</h1>")
UNTYPED = said(415, {"status": 415, "error": "Unsupported Media Type"})
BROKEN = said(400, {"status": 400, "error": "Bad Request"})


def told_otherwise(status: int, answer: Answer, method: str = ANY, path: str = ".*") -> Plant:
    """Another answer in the place of those with a status."""

    def do(environ: Environ, call: Call) -> Answer:
        at, found = is_at(environ, method, path), call(environ)
        return answer if at and found.status == status else found

    return between(do)


def without_allow(environ: Environ, call: Call) -> Answer:
    found = call(environ)
    kept = {name: value for name, value in found.headers.items() if name != "Allow"}
    return Answer(found.status, kept, found.content)


def read_as_nothing(environ: Environ, call: Call) -> Answer:
    """JSON that cannot be read, and other content types, count as an empty object."""
    known = ("form" in kind_of(environ)) or not body_of(environ)
    if not known and (body_of(environ)[:5] == b'{"a":' or kind_of(environ) != JSON):
        replaced(environ, b"{}")
        environ["CONTENT_TYPE"] = JSON
    return call(environ)


def again(environ: Environ, call: Call, body: bytes) -> None:
    """Send a request once more with another body."""
    replaced(environ, body)
    call(environ)


def half_done(environ: Environ, call: Call) -> Answer:
    """A refused request has done a part of what it should."""
    copy, body = dict(environ), body_of(environ)
    environ["wsgi.input"].seek(0)
    found = call(environ)
    if found.status == 422 and is_at(copy, "PATCH", r"/tunes/\d+"):
        again(copy, call, b'{"tune": {"title": "half"}}')
    elif found.status == 422 and is_at(copy, "PATCH", r"/prompts/\d+"):
        again(copy, call, b'{"prompt": {"workspace_id": null}}')
    elif found.status == 422 and is_at(copy, "POST", "/themes") and b", 1]" in body:
        again(copy, call, body.replace(b", 1]", b"]"))
    elif found.status == 422 and is_at(copy, "POST", "/tunes|/p/.*"):
        url = b'"image_urls": ["https://example.com/1.jpg"]'
        copy["PATH_INFO"], copy["CONTENT_TYPE"] = "/tunes", JSON
        again(copy, call, b'{"tune": {"title": "half", "name": "man", %s}}' % url)
    return found


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


def seen_for_ever(environ: Environ, call: Call) -> Answer:
    """What has been read once is answered from a cache."""
    path = environ["PATH_INFO"]
    if not is_at(environ, "GET", CHANGED):
        return call(environ)
    if path not in CACHE or CACHE[path].status != 200:
        CACHE[path] = call(environ)
    return CACHE[path]


def with_noise(environ: Environ, call: Call) -> Answer:
    found = call(environ)
    noise = os.urandom(4) if is_at(environ, "GET", FILE) else b""
    return Answer(found.status, found.headers, found.content + noise)


def as_a_page(environ: Environ, call: Call) -> Answer:
    found = call(environ)
    kind = {"Content-Type": "text/html"} if is_at(environ, "GET", FILE) else {}
    return Answer(found.status, {**found.headers, **kind}, found.content)


def of_one(path: str, methods: str = ANY) -> Plant:
    """On some paths both accounts are the first."""

    def change(environ: Environ) -> None:
        if is_at(environ, methods, path):
            key = environ.get("HTTP_AUTHORIZATION", "")
            environ["HTTP_AUTHORIZATION"] = key.replace("sd_contracts_second", "sd_contracts")

    return with_environ(change)


def no_key(environ: Environ) -> bool:
    return "HTTP_AUTHORIZATION" not in environ


def says(*words: bytes) -> Any:
    return lambda environ: any(word in body_of(environ) for word in words)


LATEST: list[Answer] = []
ANSWER_COMES = threading.Condition()
BY_TITLE: dict[bytes, Answer] = {}
CACHE: dict[str, Answer] = {}
FIRST_ONLY = lambda found: dict(list(found.items())[:1])

ANSWERED = (
    # -- errors
    Bug(
        "denial-is-json",
        told_otherwise(401, said(401, {"error": "Access denied"})),
        "errors::without_a_key_everything_is_denied",
    ),
    Bug(
        "public-list-needs-a-key",
        instead("GET", "/gallery/packs|/cli/models", DENIED, when=no_key),
        "errors::public_list_needs_no_key",
        "packs::gallery_lists_the_public_packs_newest_first_without_a_key",
    ),
    Bug(
        "object-is-looked-up-before-the-key",
        instead("GET", "/tunes/1", NOT_FOUND, when=no_key),
        "errors::denial_comes_before_all_else",
    ),
    Bug(
        "not-found-lacks-its-status",
        told_otherwise(404, said(404, {"error": "Not Found"})),
        "errors::unknown_object_is_not_found",
    ),
    Bug("not-found-is-a-page", told_otherwise(404, PAGE), "errors::unknown_path_is_not_found"),
    Bug(
        "unknown-workspace-is-ignored",
        with_environ(lambda env: env.pop("HTTP_X_WORKSPACE_ID", None)),
        "errors::unknown_workspace_is_not_found",
        "errors::workspace_that_is_no_number_is_a_bad_request",
        "accounts::scope_shows_what_was_made_in_it",
        "accounts::prompt_is_moved_between_scopes",
        "tenants::other_lists_show_nothing_of_another_account",
    ),
    Bug(
        "other-method-is-not-told-which-there-are",
        between(without_allow),
        "errors::other_method_is_answered_with_those_that_there_are",
    ),
    Bug(
        "body-that-cannot-be-read-is-empty",
        between(read_as_nothing),
        "errors::body_that_is_no_json_is_a_bad_request",
        "errors::body_of_another_type_is_refused",
    ),
    Bug(
        "broken-body-is-422",
        turned("POST", ".*", 400, 422),
        "forms::body_that_cannot_be_read_is_refused",
        "witnesses::request_that_cannot_be_taken_is_refused",
    ),
    Bug(
        "refusal-names-one-field",
        answers("POST", ".*", FIRST_ONLY, status=422),
        "errors::refusal_names_all_that_is_wrong_at_once",
        "duplicate::copy_refuses_a_wrong_change",
    ),
    Bug(
        "refused-request-is-half-done",
        between(half_done),
        "errors::refused_tune_leaves_nothing",
        "errors::refused_change_changes_nothing",
        "themes::refused_theme_makes_nothing",
        "packs::run_that_is_refused_says_why_and_makes_nothing",
    ),
    Bug(
        "odd-text-is-an-error",
        instead("POST", ".*", said(500, {"status": 500, "error": "Oops"}), when=says(b"<lora::>")),
        "errors::odd_text_is_no_trouble",
    ),
    # -- what clients write
    Bug(
        "slash-at-the-end-is-another-path",
        instead(
            ANY,
            ".*",
            NOT_FOUND,
            when=lambda env: len(env["PATH_INFO"]) > 1 and env["PATH_INFO"].endswith("/"),
        ),
        "forms::path_may_end_in_json_or_a_slash",
    ),
    Bug(
        "like-has-no-other-name",
        instead(ANY, r"/prompts/\d+/like", NOT_FOUND),
        "likes::like_is_counted_and_taken_back",
    ),
    Bug(
        "pack-has-no-number",
        instead("GET", r"/p/\d+", NOT_FOUND),
        "packs::pack_is_found_by_number_and_by_slug",
    ),
    Bug(
        "content-type-needs-a-body",
        instead("GET DELETE", ".*", BROKEN, when=lambda env: kind_of(env) == JSON),
        "forms::content_type_without_a_body_does_not_matter",
    ),
    Bug(
        "charset-makes-another-type",
        instead("POST", ".*", UNTYPED, when=lambda env: "charset" in env.get("CONTENT_TYPE", "")),
        "forms::charset_beside_the_content_type_does_not_matter",
    ),
    Bug(
        "some-operations-read-no-forms",
        instead(
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
        instead(
            "POST",
            ".*",
            said(422, {"num_images": ["is not a number"]}),
            when=says(b'"num_images": "'),
        ),
        "forms::numbers_and_booleans_may_be_text",
        "forms::blank_text_counts_as_absent",
    ),
    Bug(
        "unknown-attributes-are-refused",
        instead(
            "POST", ".*", said(422, {"sampler": ["is unknown"]}), when=says(b"sampler", b"width")
        ),
        "forms::unknown_attributes_are_ignored",
    ),
    Bug(
        "empty-file-input-is-a-file",
        instead(
            "POST", ".*", said(422, {"images": ["is not an image"]}), when=says(b'filename=""')
        ),
        "forms::file_input_left_empty_is_passed_over",
    ),
    Bug(
        "theme-takes-no-more-than-eight-pictures",
        instead(
            "POST", "/themes", said(422, {"num_images": ["is too large"]}), when=says(b": 100")
        ),
        "themes::number_of_pictures_is_at_most_eight",
    ),
    Bug(
        "pack-for-several-runs-without-tunes",
        instead(
            "POST", "/p/lookbook/tunes", said(201, {"status": 201, "message": "Prompts created"})
        ),
        "packs::run_for_several_tunes_needs_them",
    ),
    # -- files
    Bug("files-are-pages", between(as_a_page), "addresses::pictures_of_a_prompt_are_pictures"),
    Bug(
        "files-differ-every-time",
        between(with_noise),
        "determinism::picture_is_the_same_every_time",
        "duplicate::copy_keeps_its_input_when_the_original_is_gone",
    ),
    # -- caches and load
    Bug(
        "what-was-read-is-never-read-again",
        between(seen_for_ever),
        "lifecycle::tune_goes_forward_to_its_end",
        "lifecycle::patch_changes_the_time_of_change_and_no_other",
        "deletion::deleted_tune_is_gone_with_its_prompts_and_files",
        "deletion::what_is_deleted_at_work_does_not_come_back",
        "likes::repeated_like_changes_nothing",
        "expiry::expired_tune_can_be_deleted",
    ),
    Bug(
        "title-is-known-for-ever",
        between(remembered),
        "idempotency::creation_is_not_repeat_safe_by_default",
        "idempotency::repeat_shows_the_object_as_it_is_by_now",
        "idempotency::deleted_object_does_not_come_back",
        "idempotency::accounts_do_not_meet",
        "idempotency::refused_repeat_is_refused_and_uses_nothing_up",
        "tenants::accounts_may_use_the_same_titles",
    ),
    Bug(
        "answers-are-mixed-up-under-load",
        at_once(the_latest),
        "concurrency::tunes_made_at_once_are_all_there_and_their_own",
        "concurrency::prompts_made_at_once_are_all_there_and_their_own",
        "concurrency::changes_at_once_leave_one_of_them",
        "concurrency::accounts_at_once_do_not_mix",
    ),
    Bug(
        "one-title-makes-several-under-load",
        at_once(twice_made),
        "concurrency::one_title_sent_at_once_makes_one_tune",
    ),
    Bug(
        "deletion-succeeds-twice-under-load",
        at_once(twice_deleted),
        "concurrency::deleting_at_once_succeeds_once",
    ),
    Bug(
        "deletion-succeeds-twice",
        told_otherwise(404, said(200, {"message": "Prompt successfully deleted"}), "DELETE"),
        "deletion::second_deletion_is_not_found",
        "deletion::gallery_cannot_be_changed",
    ),
    # -- faults
    Bug(
        "gateway-answers-with-a-page",
        told_otherwise(504, Answer(504, {"Content-Type": "text/html"}, b"<h1>Gateway</h1>")),
        "faults::failure_is_said_in_the_services_words_and_changes_nothing",
    ),
    Bug(
        "no-work-is-done-behind-a-504",
        lambda patch, app: patch.setattr(Struck, "__getitem__", lambda self, name: False),
        "faults::504_may_have_done_the_work",
    ),
    # -- accounts
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
)
