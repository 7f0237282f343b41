"""Bugs in what is kept and what goes: pictures and files, deletion, expiry."""

import itertools
from dataclasses import replace
from datetime import timedelta
from io import BytesIO

from astria_emulator.api import downloads
from astria_emulator.api.handlers import prompts, tunes
from astria_emulator.backend import Artefact
from astria_emulator.domain import lifecycle
from astria_emulator.errors import NotFound
from astria_emulator.mock.backend import MockBackend
from astria_emulator.objects import prompts as prompt_creation
from astria_emulator.objects import removal
from astria_emulator.objects import tunes as tune_creation
from astria_emulator.objects.access import own
from astria_emulator.storage.store import Query
from astria_emulator.work import generation, job_steps, jobs, training
from tools.holdout.planting import (
    all_of,
    change_attributes,
    change_result,
    handle_by,
    replace_function,
    replace_value,
    rows,
    without,
)
from tools.holdout.wire_changes import change_shown

DAY = timedelta(days=1)


# -- determinism -----------------------------------------------------------------------------------
def drawing(change):
    """Alter the job that pictures are made by: `change(job)` has the fields that differ."""
    return replace_function(
        generation,
        "generate_job",
        lambda real: lambda *of: replace(job := real(*of), **change(job)),
    )


def drawn_anew(source):
    fetches = itertools.count()

    def read(self, file, environ):
        found = source(self, file, environ)
        is_drawn = file.recipe is not None and "picture" in file.recipe
        return BytesIO(found.read() + b"%d" % next(fetches)) if is_drawn else found

    return read


def cut(artefact):
    def kept(sent):
        made = artefact(sent)
        is_upload = isinstance(made.content, bytes)
        return Artefact(made.content_type, made.content[:-1]) if is_upload else made

    return kept


DETERMINISM = rows(
    "determinism",
    {
        "same-seed-draws-another-picture": drawing(lambda job: {"seed": job.seed + job.prompt_id}),
        "every-seed-draws-the-same-picture": drawing(lambda job: {"seed": 0}),
        "pictures-of-a-prompt-are-all-the-same": replace_function(
            MockBackend,
            "_pictures",
            lambda real: lambda self, job: real(self, job)[:1] * job.num_images,
        ),
        "picture-changes-with-every-fetch": replace_function(
            downloads.Downloads, "_source", drawn_anew
        ),
        "picture-ignores-its-aspect-ratio": replace_function(
            generation,
            "picture_size",
            lambda real: lambda prompt, branch: real({**prompt, "aspect_ratio": None}, branch),
        ),
        "upload-loses-its-last-byte": replace_function(tune_creation, "artefact", cut),
        "uploads-come-back-in-reverse-order": change_shown(
            "tune", lambda tune: tune.update(orig_images=tune["orig_images"][::-1])
        ),
    },
)


# -- deletion --------------------------------------------------------------------------------------
def files_only(erase):
    def erased(services, row):
        services.files.delete([*row["image_keys"], row.get("ckpt_key") or ""])

    return erased


def prompts_only(erase):
    def erased(services, row):
        erase(services, row.changed({**row.data, "image_keys": [], "ckpt_key": None}, row.refs))

    return erased


def all_that_name_it(erase):
    def erased(services, row):
        for prompt in services.store.find("prompt", Query(row.owner, ref=row.id)):
            removal.remove_prompt(services, prompt)
        erase(services, row)

    return erased


def ghosts(patch, app):
    gone = []

    def make(remove):
        return lambda services, row: (gone.append(row), remove(services, row))

    def act(handler, services, caller, arguments):
        found = handler(services, caller, **arguments)
        left = [row for row in gone if arguments["tune_id"] in row.refs]
        return [*found, *(row for row in left if row.owner == caller.account)]

    all_of(replace_function(prompts, "remove_prompt", make), handle_by("list_tune_prompts", act))(
        patch, app
    )


def deleted_twice(patch, app):
    gone = set()

    def act(handler, services, caller, arguments):
        place = caller.account, arguments["id"]
        if place in gone:
            return prompts.DELETED
        answer = handler(services, caller, **arguments)
        gone.add(place)
        return answer

    handle_by("delete_prompt delete_tune_prompt", act)(patch, app)


def hidden_until_trained(patch, app):
    """A tune that is deleted before it is trained is only out of sight until then."""
    hidden = set()

    def is_hidden(row):
        return row.id in hidden and row["trained_at"] is None

    def removing(remove):
        def removed(services, row):
            hidden.add(row.id) if row["trained_at"] is None else remove(services, row)

        return removed

    def finding(find):
        def found(*of):
            if is_hidden(row := find(*of)):
                raise NotFound
            return row

        return found

    all_of(
        replace_function(tunes, "remove_tune", removing),
        replace_function(tunes, "own", finding),
        replace_function(tunes, "visible", finding),
        change_result("list_tunes", lambda found: [row for row in found if not is_hidden(row)]),
    )(patch, app)


def ids_again(patch, app):
    store = app.services.store
    delete = store.delete

    def deleted(row):
        delete(row)
        state = store._state
        if state.next_id.get(row.table) == row.id + 1:
            state.next_id[row.table] = row.id

    patch.setattr(store, "delete", deleted)


DELETION = rows(
    "deletion",
    {
        "deleted-tune-leaves-its-prompts": replace_function(removal, "erase_tune", files_only),
        "deleted-tune-leaves-its-files": replace_function(removal, "erase_tune", prompts_only),
        "deleted-lora-takes-prompts-that-name-it": replace_function(
            removal, "erase_tune", all_that_name_it
        ),
        "deleted-prompt-stays-in-its-tunes-list": ghosts,
        "deleting-a-prompt-twice-is-fine": deleted_twice,
        "deleted-tune-comes-back-when-it-is-trained": hidden_until_trained,
        "ids-of-deleted-objects-are-used-again": ids_again,
        "prompt-is-deleted-under-any-tune": handle_by(
            "delete_tune_prompt",
            lambda handler, s, c, to: prompts._delete(s, own(s, c, "prompt", to["id"])),
        ),
    },
)


# -- expiry ----------------------------------------------------------------------------------------
def at_expiry(act):
    """Do something when a tune has expired: `act(services, row_before, row)`."""

    def make(expire):
        def expired(services, job, now):
            before = job_steps.target(services, job)
            expire(services, job, now)
            row = job_steps.target(services, job)
            if row["state"] == "expired":
                act(services, before, row)

        return expired

    return replace_function(jobs.KINDS, "expire_tune", make)


def checking(change):
    """Alter which tunes a new prompt is checked for: `change(uses)`."""

    def make(check):
        return lambda *to, uses=(), named=(): check(*to, uses=change(uses), named=named)

    return replace_function(prompt_creation, "check_prompt", make)


EXPIRY = rows(
    "expiry",
    {
        "tune-never-expires": replace_value(
            jobs.KINDS, "expire_tune", lambda services, job, now: None
        ),
        "storage-ends-after-29-days": replace_value(lifecycle, "STORAGE", 29 * DAY),
        "files-outlive-their-expired-tune": replace_function(training, "erase_tune", prompts_only),
        "expired-tune-still-names-its-weights": at_expiry(
            lambda s, before, row: s.store.update(row, {"ckpt_key": before.get("ckpt_key")})
        ),
        "prompt-on-an-expired-tune-is-made": checking(
            lambda uses: [tune for tune in uses if tune["state"] != "expired"]
        ),
        "expired-lora-in-a-text-is-used": checking(lambda uses: uses and (uses[0], uses[-1])),
        "patched-auto-extend-is-forgotten": change_attributes(
            "update_tune", without("auto_extend")
        ),
    },
)

LIFETIME = (*DETERMINISM, *DELETION, *EXPIRY)
