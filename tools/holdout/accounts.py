"""Bugs between accounts and within one: tenants, workspaces, keys, idempotency."""

from dataclasses import replace

from astria_emulator.api import views
from astria_emulator.api.handlers import packs, prompts, tunes
from astria_emulator.domain.prompt_text import tokens
from astria_emulator.errors import Forbidden, NotFound, Unauthorized
from astria_emulator.objects import accounts
from astria_emulator.objects import prompts as prompt_creation
from astria_emulator.objects import tunes as tune_creation
from astria_emulator.objects.results import Creation
from astria_emulator.storage.refs import title_ref
from astria_emulator.storage.store import Query
from tools.holdout.callbacks import send_tune
from tools.holdout.planting import (
    all_of,
    as_owner,
    change_caller,
    handle_by,
    list_all_accounts,
    replace_function,
    replace_value,
    row_of_any_account,
    rows,
)
from tools.holdout.wire_changes import change_objects, refuse_where


def callers(change):
    """Have everybody's requests be another caller's: `change(caller)`."""
    return replace_function(views, "caller_of", lambda real: lambda *of: change(real(*of)))


# -- tenants ---------------------------------------------------------------------------------------
def forbidden(find):
    def found(services, caller, table, id):
        row = services.store.get(table, id)
        if row is not None and row.owner not in (None, caller.account):
            raise Forbidden
        return find(services, caller, table, id)

    return found


def tunes_of_anybody(services, caller, text):
    ids = dict.fromkeys(token.tune_id for token in tokens(text) if token.tune_id)
    return [row for id in ids if (row := services.store.get("tune", id))]


TENANTS = rows(
    "tenants",
    {
        "any-key-reads-a-tune": as_owner("get_tune", "tune"),
        "any-key-lists-a-tunes-prompts": as_owner("list_tune_prompts", "tune", named="tune_id"),
        "any-key-reads-a-prompt-under-its-tune": as_owner("get_tune_prompt", "prompt"),
        "any-key-deletes-a-prompt-under-its-tune": as_owner("delete_tune_prompt", "prompt"),
        "any-key-likes-a-prompt": as_owner("like_prompt", "prompt"),
        "any-key-reads-and-runs-a-pack": replace_value(packs, "visible", row_of_any_account),
        "prompts-of-all-accounts-are-listed-under-a-base": list_all_accounts("list_tune_prompts"),
        "another-accounts-tune-is-forbidden-not-unknown": replace_function(
            tunes, "visible", forbidden
        ),
        "another-accounts-tune-is-named-in-a-text": replace_value(
            prompt_creation, "named_tunes", tunes_of_anybody
        ),
        "another-accounts-tune-is-a-base": replace_value(
            tune_creation, "visible", row_of_any_account
        ),
        "another-accounts-tune-takes-prompts": replace_value(
            prompts, "visible", row_of_any_account
        ),
    },
)


# -- workspaces ------------------------------------------------------------------------------------
def personal_if_unknown(find):
    def found(*of):
        try:
            return find(*of)
        except NotFound:
            return None

    return found


def outside(make):
    return lambda services, caller, *of: make(services, replace(caller, workspace=None), *of)


WORKSPACES = rows(
    "workspaces",
    {
        "unknown-workspace-counts-as-personal": replace_function(
            accounts, "own_workspace", personal_if_unknown
        ),
        "another-accounts-workspace-is-accepted": replace_value(
            accounts,
            "own_workspace",
            lambda s, account, place: row_of_any_account(s, account, "workspace", place).id,
        ),
        "tunes-of-every-workspace-are-listed": change_caller(
            "list_tunes", lambda caller: replace(caller, workspace="all")
        ),
        "nested-prompts-leave-their-tunes-workspace": replace_function(
            tune_creation, "make_prompt", outside
        ),
    },
)


# -- accounts --------------------------------------------------------------------------------------
def without_a_key(path):
    """Answer a path to anybody."""

    def plant(patch, app):
        serve = app.wsgi_app

        def served(environ, start_response):
            if environ["PATH_INFO"] == path:
                environ.setdefault("HTTP_AUTHORIZATION", "Bearer sd_anybody")
            return serve(environ, start_response)

        patch.setattr(app, "wsgi_app", served)

    return plant


def with_a_key(path):
    """Answer a path to accounts only."""
    return refuse_where(
        lambda environ: environ["PATH_INFO"] == path and "HTTP_AUTHORIZATION" not in environ,
        Unauthorized(),
    )


ACCOUNTS = rows(
    "accounts",
    {
        "account-is-always-the-first": change_caller(
            "get_user", lambda caller: replace(caller, account=1)
        ),
        "inspection-needs-no-key": without_a_key("/images/inspect"),
        "gallery-of-packs-needs-a-key": with_a_key("/gallery/packs"),
        "models-tell-of-a-newer-command-line": change_objects(
            "GET /cli/models", lambda models: models.update(cli={"latest_version": "99.0.0"})
        ),
    },
)


# -- idempotency -----------------------------------------------------------------------------------
def fingerprint(*, less="", more=()):
    names = [name for name in prompt_creation.FINGERPRINT if name != less]
    return replace_value(prompt_creation, "FINGERPRINT", (*names, *more))


def everybodys_title(handler, services, caller, arguments):
    mark = title_ref(arguments["body"]["tune"]["title"])
    for user in services.store.find("user", Query(None)) if caller.idempotent else ():
        if found := services.store.find("tune", Query(user.id, ref=mark, limit=1)):
            return Creation(found[0], repeated=True)
    return handler(services, caller, **arguments)


def on_a_repeat(act):
    """Do something when a tune is made again: `act(services, caller, row, attributes)`."""

    def served(handler, services, caller, arguments):
        made = handler(services, caller, **arguments)
        if made.repeated:
            act(services, caller, made.row, arguments["body"]["tune"])
            made = replace(made, row=services.store.current(made.row))
        return made

    return handle_by("create_tune", served)


def nested_again(services, caller, row, tune):
    for prompt in tune.get("prompts_attributes") or ():
        prompt_creation.make_prompt(services, replace(caller, idempotent=False), row, prompt)


def deleted_again(patch, app):
    gone = {}

    def make(remove):
        def removed(services, row):
            gone[row.owner, row["title"]] = row
            remove(services, row)

        return removed

    def act(handler, services, caller, arguments):
        row = gone.get((caller.account, arguments["body"]["tune"]["title"]))
        is_repeat = row is not None and caller.idempotent
        return Creation(row, repeated=True) if is_repeat else handler(services, caller, **arguments)

    all_of(replace_function(tunes, "remove_tune", make), handle_by("create_tune", act))(patch, app)


IDEMPOTENCY = rows(
    "idempotency",
    {
        "idempotency-is-never-on": callers(lambda caller: replace(caller, idempotent=False)),
        "idempotency-is-always-on": callers(lambda caller: replace(caller, idempotent=True)),
        "accounts-share-their-titles": handle_by("create_tune", everybodys_title),
        "repeat-calls-back-again": on_a_repeat(lambda s, c, row, tune: send_tune(s, row)),
        "repeat-makes-its-nested-prompts-again": on_a_repeat(nested_again),
        "scheduler-does-not-tell-prompts-apart": fingerprint(less="scheduler"),
        "aspect-ratio-tells-prompts-apart": fingerprint(more=("aspect_ratio",)),
        "deleted-tune-comes-back-by-its-title": deleted_again,
    },
)

BETWEEN = (*TENANTS, *WORKSPACES, *ACCOUNTS, *IDEMPOTENCY)
