"""Bugs in how requests are read and answers written: forms, pages, refusals, answers."""

import itertools
import re
from dataclasses import replace

from astria_emulator.api import views, web
from astria_emulator.errors import ApiError, BadRequest, NotFound, TooLarge
from astria_emulator.objects.removal import remove_prompt
from astria_emulator.objects.tunes import make_tune
from astria_emulator.request import forms, reading
from astria_emulator.request.reading import Reader
from astria_emulator.request.uploads import Upload
from astria_emulator.spec import coercion
from astria_emulator.storage.store import FIRST_ID
from tools.holdout.planting import (
    act_after_refusal,
    change_attributes,
    change_query,
    change_query_text,
    change_result,
    change_schema,
    handle_by,
    ignore_query,
    replace_function,
    replace_method,
    replace_value,
    rows,
    without,
)
from tools.holdout.wire_changes import (
    change_answer,
    change_objects,
    change_shown,
    refuse_where,
    set_answer,
)


# -- forms -----------------------------------------------------------------------------------------
def last_files(read):
    def pairs(*of):
        found = read(*of)
        last = {name: value for name, value in found if isinstance(value, Upload)}
        return [pair for pair in found if last.get(pair[0], pair[1]) is pair[1]]

    return pairs


def outer_keys_too(wrapped):
    def read(bound, value):
        found, wrapper = wrapped(bound, value), bound.operation.wrapper
        inner = found.get(wrapper)
        outer = {key: item for key, item in value.items() if key != wrapper}
        return {wrapper: {**outer, **inner}} if isinstance(inner, dict) else found

    return read


def as_latin_1(read):
    return lambda *of: [
        (name, value.encode().decode("latin-1") if isinstance(value, str) else value)
        for name, value in read(*of)
    ]


def is_post_to_json(environ):
    return environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"].endswith(".json")


FORMS = rows(
    "forms",
    {
        "only-the-last-file-is-kept": replace_function(web, "read_multipart", last_files),
        "numbered-keys-make-no-list": replace_value(coercion, "INDEX", re.compile("(?!)")),
        "no-repeated-key-begins-a-new-element": replace_value(
            forms, "_has", lambda element, steps: False
        ),
        "text-of-any-boolean-is-true": replace_function(
            coercion, "_boolean", lambda read: lambda v: v != "" if isinstance(v, str) else read(v)
        ),
        "json-text-in-a-field-is-not-read": replace_value(
            coercion, "read_json_text", lambda value, kind: value
        ),
        "blank-text-counts": replace_value(coercion, "is_blank", lambda value: False),
        "plus-sign-is-no-space": replace_function(
            web, "read_urlencoded", lambda read: lambda body: read(body.replace(b"+", b"%2B"))
        ),
        "text-of-a-multipart-form-is-latin-1": replace_function(web, "read_multipart", as_latin_1),
        "addresses-beside-files-are-lost": change_attributes(
            "create_tune", lambda tune: tune.get("images") and tune.pop("image_urls", None)
        ),
        "attributes-without-a-wrapper-are-lost": replace_value(
            Reader, "_wrapped", lambda bound, value: value
        ),
        "keys-beside-the-wrapper-count": replace_function(Reader, "_wrapped", outer_keys_too),
        "post-to-a-json-path-is-not-found": refuse_where(is_post_to_json, NotFound()),
    },
)


# -- pages -----------------------------------------------------------------------------------------
def number(query, name):
    text = query.get(name, "")
    return int(text) if isinstance(text, str) and text.isdecimal() else -1


def refuse_large_limit(query):
    if number(query, "limit") > 120:
        raise BadRequest("limit must be less than or equal to 120")


def by_any_filter(handler, services, caller, arguments):
    query = arguments["query"]
    plain = {key: query[key] for key in ("limit", "offset", "before_id") if key in query}
    wanted = [{**plain, key: query[key]} for key in query.keys() - plain.keys()] or [plain]
    pages = [handler(services, caller, **{**arguments, "query": one}) for one in wanted]
    found = {row.id: row for page in pages for row in page}
    return [found[id] for id in sorted(found, reverse=True)][: query["limit"]]


PAGING = rows(
    "paging",
    {
        "tunes-are-listed-oldest-first": change_result("list_tunes", lambda found: found[::-1]),
        "before-id-takes-that-object-in": change_query(
            "list_prompts", lambda q: "before_id" in q and q.update(before_id=q["before_id"] + 1)
        ),
        "page-of-a-tunes-prompts-has-one-too-many": change_query(
            "list_tune_prompts", lambda q: q.update(limit=q["limit"] + 1)
        ),
        "limit-above-120-is-refused": change_query_text(
            "list_tunes list_prompts", refuse_large_limit
        ),
        "offset-of-200-is-too-deep": change_query_text(
            "list_tunes", lambda q: number(q, "offset") == 200 and q.update(offset="201")
        ),
        "offset-is-never-too-deep-for-tunes": change_query_text(
            "list_tunes", lambda q: number(q, "offset") > 200 and q.update(offset="200")
        ),
        "prompt-is-lost-between-pages-by-offset": change_query(
            "list_prompts", lambda q: q["offset"] and q.update(offset=q["offset"] + 1)
        ),
        "filters-are-joined-by-or": handle_by("list_prompts", by_any_filter),
        "liked-filter-is-ignored-under-a-tune": ignore_query("list_tune_prompts", "liked"),
    },
)


# -- refusals --------------------------------------------------------------------------------------


def leave_tune(services, caller, tune, where):
    image_urls = ["https://example.com/1.jpg"]
    title = str(tune.get("title") or "untitled")
    make_tune(services, caller, {"title": title, "name": "man", "image_urls": image_urls})


def leave_title(services, caller, tune, where):
    row = services.store.get("tune", int(where["id"]))
    if row is not None and row.owner == caller.account and isinstance(tune.get("title"), str):
        services.store.update(row, {"title": tune["title"]})


def denied_but_done(patch, app):
    serve = app.wsgi_app

    def served(environ, start_response):
        place = re.fullmatch(r"/prompts/(\d+)", environ["PATH_INFO"])
        response = web.Response.from_app(serve, environ)
        if place and (environ["REQUEST_METHOD"], response.status_code) == ("DELETE", 401):
            if row := app.services.store.get("prompt", int(place[1])):
                remove_prompt(app.services, row)
        return response(environ, start_response)

    patch.setattr(app, "wsgi_app", served)


def fail_on_emoji(prompt):
    if any(ord(character) > 0xFFFF for character in prompt.get("text") or ""):
        raise ApiError


def forgive_branch(wrapped):
    known = {"flux1", "sd15", "sdxl1", "fast"}

    def read(bound, value):
        found = wrapped(bound, value)
        tune = found.get("tune")
        if isinstance(tune, dict) and tune.get("branch") not in known:
            found = {**found, "tune": {**tune, "branch": None}}
        return found

    return read


def forgive_json(parse):
    def parsed(text):
        try:
            return parse(text)
        except BadRequest:
            return {}

    return parsed


def read_as_json(read_call):
    def read(*of):
        call = read_call(*of)
        known = (web.JSON, web.URLENCODED, web.MULTIPART)
        return call if call.content_type in known else replace(call, content_type=web.JSON)

    return read


REFUSALS = rows(
    "refusals",
    {
        "refused-tune-is-made-nevertheless": act_after_refusal("create_tune", leave_tune),
        "refused-patch-of-a-tune-is-half-done": act_after_refusal("update_tune", leave_title),
        "denied-delete-deletes": denied_but_done,
        "emoji-in-a-text-is-a-server-error": change_attributes(
            "create_tune_prompt create_prompt", fail_on_emoji
        ),
        "unknown-branch-is-forgiven": replace_function(Reader, "_wrapped", forgive_branch),
        "fifty-steps-are-refused": change_schema("PromptFields.properties.steps", maximum=49),
        "broken-json-is-read-as-nothing": replace_function(reading, "parse_json", forgive_json),
        "unknown-content-type-is-read-as-json": replace_function(views, "read_call", read_as_json),
        "401-is-json": change_answer(
            "*",
            set_answer(body={"status": 401, "error": "Unauthorized"}, kind=web.JSON),
            status=401,
        ),
        "401-does-not-say-how-to-authenticate": change_answer(
            "*", lambda answer: answer.headers.remove("WWW-Authenticate"), status=401
        ),
        "404-is-a-page": change_answer(
            "GET /prompts/*", set_answer(body="<h1>Not Found</h1>", kind="text/html"), status=404
        ),
        "405-does-not-say-what-is-allowed": change_answer(
            "*", lambda answer: answer.headers.remove("Allow"), status=405
        ),
        "413-is-a-hash-of-messages": replace_value(TooLarge, "body", {"base": ["is too large"]}),
        "422-does-not-name-the-nested-place": change_answer(
            "POST /tunes",
            lambda answer: set_answer(
                body={
                    name.removeprefix("prompts."): messages
                    for name, messages in answer.json.items()
                }
            )(answer),
            status=422,
        ),
    },
)


# -- answers ---------------------------------------------------------------------------------------
def ids_in_pairs(insert):
    turn = itertools.count()

    def inserted(table, owner, data, **more):
        if table == "prompt" and more.get("id") is None:
            more["id"] = FIRST_ID[table] + (next(turn) ^ 1)  # 1, 0, 3, 2, ...
        return insert(table, owner, data, **more)

    return inserted


ANSWERS = rows(
    "answers",
    {
        "prompt-under-its-tune-lacks-cost-mc": change_objects(
            "GET /tunes/*/prompts/*", without("cost_mc")
        ),
        "url-of-a-tune-leads-nowhere": change_shown(
            "tune", lambda tune: tune.update(url=tune["url"].replace("/tunes/", "/tune/"))
        ),
        "url-of-a-prompt-leads-to-the-one-before": change_shown(
            "prompt",
            lambda prompt: prompt.update(
                url=prompt["url"].replace(f"/{prompt['id']}.", f"/{prompt['id'] - 1}.")
            ),
        ),
        "ckpt-urls-stay-empty": change_shown("tune", lambda tune: tune.update(ckpt_urls=[])),
        "ids-do-not-ascend": replace_method("store", "insert", ids_in_pairs),
        "unknown-tune-shows-a-traceback": change_answer(
            "GET /tunes/*",
            set_answer(500, "Traceback (most recent call last): ValueError", "text/plain"),
            status=404,
        ),
    },
)

HTTP = (*FORMS, *PAGING, *REFUSALS, *ANSWERS)
