"""Planted bugs of errors and of generated cases, and the properties that find each."""

from planting import (
    JSON,
    Answer,
    Bug,
    Call,
    Environ,
    body_contains,
    body_of,
    intercept,
    is_at,
    json_answer,
    kind_of,
    replaced,
)
from wire_changes import (
    LISTS,
    NOT_FOUND,
    answer_by_status,
    answer_instead,
    change_answer,
    change_environ,
    change_fields,
    change_query,
    without,
)

from astria_emulator.faults.rules import InjectedFault

DENIED = Answer(401, {"Content-Type": "text/plain"}, b"HTTP Token: Access denied.\n")
PAGE = Answer(404, {"Content-Type": "text/html"}, b"<h1>Not Found</h1>")
FIRST_ONLY = lambda found: dict(list(found.items())[:1])


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


def no_key(environ: Environ) -> bool:
    return "HTTP_AUTHORIZATION" not in environ


BUGS = (
    # -- errors
    Bug(
        "denial-is-json",
        answer_by_status(401, json_answer(401, {"error": "Access denied"})),
        "errors::without_a_key_everything_is_denied",
    ),
    Bug(
        "public-list-needs-a-key",
        answer_instead("GET", "/gallery/packs|/cli/models", DENIED, when=no_key),
        "errors::public_list_needs_no_key",
        "packs::gallery_lists_the_public_packs_newest_first_without_a_key",
    ),
    Bug(
        "object-is-looked-up-before-the-key",
        answer_instead("GET", "/tunes/1", NOT_FOUND, when=no_key),
        "errors::denial_comes_before_all_else",
    ),
    Bug(
        "not-found-lacks-its-status",
        answer_by_status(404, json_answer(404, {"error": "Not Found"})),
        "errors::unknown_object_is_not_found",
    ),
    Bug("not-found-is-a-page", answer_by_status(404, PAGE), "errors::unknown_path_is_not_found"),
    Bug(
        "unknown-workspace-is-ignored",
        change_environ(lambda env: env.pop("HTTP_X_WORKSPACE_ID", None)),
        "errors::unknown_workspace_is_not_found",
        "errors::workspace_that_is_no_number_is_a_bad_request",
        "accounts::scope_shows_what_was_made_in_it",
        "accounts::prompt_is_moved_between_scopes",
        "tenants::other_lists_show_nothing_of_another_account",
    ),
    Bug(
        "other-method-is-not-told-which-there-are",
        intercept(without_allow),
        "errors::other_method_is_answered_with_those_that_there_are",
    ),
    Bug(
        "body-that-cannot-be-read-is-empty",
        intercept(read_as_nothing),
        "errors::body_that_is_no_json_is_a_bad_request",
        "errors::body_of_another_type_is_refused",
    ),
    Bug(
        "refusal-names-one-field",
        change_answer("POST", ".*", FIRST_ONLY, status=422),
        "errors::refusal_names_all_that_is_wrong_at_once",
        "duplicate::copy_refuses_a_wrong_change",
    ),
    Bug(
        "refused-request-is-half-done",
        intercept(half_done),
        "errors::refused_tune_leaves_nothing",
        "errors::refused_change_changes_nothing",
        "themes::refused_theme_makes_nothing",
        "packs::run_that_is_refused_says_why_and_makes_nothing",
    ),
    Bug(
        "odd-text-is-an-error",
        answer_instead(
            "POST",
            ".*",
            json_answer(500, {"status": 500, "error": "Oops"}),
            when=body_contains(b"<lora::>"),
        ),
        "errors::odd_text_is_no_trouble",
    ),
    Bug(
        "query-that-cannot-be-read-is-ignored",
        change_query(
            LISTS, lambda q: {k: v for k, v in q.items() if v not in ("many", "x", "perhaps", "-1")}
        ),
        "errors::query_that_cannot_be_read_is_a_bad_request",
    ),
    # -- generated
    Bug(
        "user-has-no-address",
        change_answer("GET", "/users", without("email")),
        "generated::generated_case_is_answered_as_the_contract_says",
    ),
    Bug(
        "id-is-a-text",
        change_fields(
            ".*", lambda o: {"id": str(o["id"])} if "id" in o else {}, method="GET POST PATCH"
        ),
        "generated::generated_sequence_is_answered_as_the_contract_says",
        "witnesses::request_is_answered_as_its_source_says",
    ),
    # -- faults
    Bug(
        "gateway-answers-with-a-page",
        answer_by_status(504, Answer(504, {"Content-Type": "text/html"}, b"<h1>Gateway</h1>")),
        "faults::failure_is_said_in_the_services_words_and_changes_nothing",
    ),
    Bug(
        "no-work-is-done-behind-a-504",
        lambda patch, app: patch.setattr(InjectedFault, "__getitem__", lambda self, name: False),
        "faults::504_may_have_done_the_work",
    ),
)
