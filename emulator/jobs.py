"""The work behind tunes and prompts: it drives the life cycle, the backend and the callbacks.

Every step reads its object anew within a transaction: while a backend works, anything may happen.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from emulator import wire
from emulator.backend import Backend, GenerateJob, TrainJob
from emulator.errors import BackendError, NotFound, Unavailable
from emulator.inputs import kept_artefact
from emulator.lifecycle import FINAL, IllegalStep, step
from emulator.prompt_text import tokens, words
from emulator.removal import erase_tune
from emulator.services import Services
from emulator.sizes import picture_size
from emulator.store import Job, Query, Row

log = logging.getLogger(__name__)

FAILED = "Something went wrong on our side. Please try again."


class Gone(LookupError):
    """The object was deleted, or the job is not ours any more."""


def run(services: Services, job: Job, now: datetime) -> None:
    """Do a job; one whose object is gone, or has moved on, does nothing.

    It ends in the transaction that keeps its effect: neither is ever without the other. One that
    the database kept from ending is done again.
    """
    try:
        attempt(services, job, now)
        services.store.end_job(job)
    except Unavailable:
        log.warning("%s of %s %d: to be done again", job.kind, job.table, job.target)
    finally:
        services.store.let_go(job)


def attempt(services: Services, job: Job, now: datetime) -> None:
    """Do a job, or fail its object."""
    try:
        KINDS[job.kind](services, job, now)
    except Unavailable:
        raise
    except (Gone, IllegalStep) as error:
        log.debug("%s of %s %d: %s", job.kind, job.table, job.target, error)
    except BackendError as error:
        fail(services, job, str(error), now)
    except NotFound:
        fail(services, job, "A file that this needs is gone.", now)
    except Exception:
        log.exception("%s of %s %d", job.kind, job.table, job.target)
        fail(services, job, FAILED, now)


def target(services: Services, job: Job) -> Row:
    """A job's object as it is now.

    Raises Gone.
    """
    row = services.store.get(job.table, job.target)
    if row is None or row.uid != job.target_uid:
        raise Gone("the object is gone")
    return row


def advance(services: Services, job: Job, event: str, now: datetime, **more: Any) -> Row:
    """Take a job's object one step on, and end the job with it.

    To be called within a transaction. Raises Gone and IllegalStep, and then nothing has changed.
    """
    row = target(services, job)
    changes = step(row.table, row, event, now) | more
    end(services, job)
    return services.store.update(row, changes)


def end(services: Services, job: Job) -> None:
    """End a job within the transaction that keeps its effect.

    Raises Gone where it has been taken over, or a reset has forgotten it.
    """
    if not services.store.end_job(job):
        raise Gone("the job is another's")


def fail(services: Services, job: Job, reason: str, now: datetime) -> None:
    """End an object without a result.

    The reason stays with it, under /_emulator/ and in the log.
    """
    shown = "user_error" if job.table == "prompt" else "failure"
    try:
        with services.store.transaction():
            row = advance(services, job, "fail", now, **{shown: reason})
            if row.table == "tune":
                release_prompts(services, row, now)
            else:
                end_prompt(services, row)
    except (Gone, IllegalStep):
        return
    log.warning("%s %d failed: %s", job.table, job.target, reason)


# -- tunes -----------------------------------------------------------------------------------------
def start_tune(services: Services, job: Job, now: datetime) -> None:
    with services.store.transaction():
        row = advance(services, job, "start", now)
        backend = services.backend_for(row["branch"])
        after(services, "train_tune", row, now, backend, backend.train_seconds(row))


def after(
    services: Services, kind: str, row: Row, now: datetime, backend: Backend, seconds: float
) -> None:
    """Schedule a backend's work: at once, or when the time has passed that it pretends to take."""
    pause = timedelta(seconds=seconds if backend.pretends else 0)
    services.schedule(kind, row, now + pause)


def train_tune(services: Services, job: Job, now: datetime) -> None:
    row = target(services, job)
    backend = services.backend_for(row["branch"])
    images = [kept_artefact(services, key) for key in row["image_keys"]]
    base = row["home_base_id"]
    work = TrainJob(row.id, row["branch"], row["model_type"], base, images, row.data)
    weights = backend.train(work, lambda progress: services.store.report(job, progress))
    if not backend.pretends:
        now = services.clock.now()
    with services.store.transaction():
        row = advance(services, job, "finish", now)
        hidden = row["branch"] == "flux1" and services.assumed("flux-weights") == "hidden"
        if weights and not hidden:
            key = services.keep(f"tune/{row.id}/weights", weights)
            row = services.store.update(row, {"ckpt_key": key})
        tune_ready(services, row)
        if row.get("callback"):
            body = callback_body(services, "tune", wire.tune(services, row))
            services.callbacks.send(row, row["callback"], body)
        release_prompts(services, row, now)


def tune_ready(services: Services, row: Row) -> None:
    """A tune has been trained: its storage begins to run."""
    services.schedule("expire_tune", row, row["expires_at"])


def expire_tune(services: Services, job: Job, now: datetime) -> None:
    """Extend a tune's storage by 30 days, or erase its files and prompts; the tune stays."""
    with services.store.transaction():
        if target(services, job)["auto_extend"]:
            row = advance(services, job, "extend", now)
            services.schedule("expire_tune", row, row["expires_at"])
            return
        row = advance(services, job, "expire", now)
        erase_tune(services, row)
        services.store.update(row, {"ckpt_key": None, "image_keys": []})


def release_prompts(services: Services, tune: Row, now: datetime) -> None:
    """Send on the prompts that waited for a tune, oldest first, if they wait for no other.

    To be called within a transaction.
    """
    waits = Query(tune.owner, ref=tune.id, test=lambda row: row["state"] == "waiting")
    for row in reversed(services.store.find("prompt", waits)):
        states = {tune["state"] for tune in needed_tunes(services, row)}
        if not states & {"queued", "training"}:
            row = services.store.update(row, step("prompt", row, "release", now))
            services.schedule("start_prompt", row, now)


def needed_tunes(services: Services, prompt: Row) -> list[Row]:
    """The tunes that a prompt is made with."""
    ids = [ref for ref in prompt.refs if isinstance(ref, int)]
    return [tune for id in ids if (tune := services.store.get("tune", id))]


# -- prompts ---------------------------------------------------------------------------------------
def start_prompt(services: Services, job: Job, now: datetime) -> None:
    with services.store.transaction():
        for tune in needed_tunes(services, target(services, job)):
            if tune["state"] == "failed":
                raise BackendError(f"Tune {tune.id} could not be trained.")
        row = advance(services, job, "start", now)
        backend = services.backend_for(row["branch"])
        after(services, "generate_prompt", row, now, backend, backend.prompt_seconds(row))


def generate_prompt(services: Services, job: Job, now: datetime) -> None:
    row = target(services, job)
    backend = services.backend_for(row["branch"])
    asked = [generate_job(services, row)]
    [pictures] = backend.generate(asked, lambda progress: services.store.report(job, progress))
    if not backend.pretends:
        now = services.clock.now()
    with services.store.transaction():
        row = advance(services, job, "finish", now)
        keys = [services.keep(f"prompt/{row.id}/{at}", made) for at, made in enumerate(pictures)]
        end_prompt(services, services.store.update(row, {"image_keys": keys}))


def generate_job(services: Services, row: Row) -> GenerateJob:
    width, height = picture_size(row, row["branch"])
    tune = services.store.get("tune", row["home_tune_id"])
    used = [token for token in tokens(row["text"]) if token.tune_id in row.refs]
    # A seed that was not given differs from prompt to prompt, and comes again in the same history.
    chance = (row.id * 2654435761 + services.config.seed) % 2**32
    return GenerateJob(
        prompt_id=row.id,
        tune_id=row["home_tune_id"],
        tune_title=str(tune["title"]) if tune else "",
        branch=row["branch"],
        text=words(row["text"]) or row.get("video_prompt") or "",
        subject=row.get("class_name") or "",
        seed=chance if row.get("seed") is None else row["seed"],
        num_images=row["num_images"],
        width=width,
        height=height,
        tunes=[(token.kind, token.tune_id or 0, token.scale) for token in used],
        attributes=row.data,
        images={
            name: kept_artefact(services, key)
            for name, key in row["files"].items()
            if isinstance(key, str)
        },
    )


def end_prompt(services: Services, row: Row) -> None:
    """Call back for a prompt that has ended, and for its pack runs when it was their last."""
    done = row["state"] == "finished" or services.assumed("failure-callback") == "send"
    if row.get("callback") and done:
        body = callback_body(services, "prompt", wire.prompt(services, row))
        earlier = [("tune", tune.id) for tune in needed_tunes(services, row)]
        services.callbacks.send(row, row["callback"], body, after=earlier)
    for found in services.store.find("run", Query(row.owner, ref=row.id)):
        tell_run(services, found)


def end_run(services: Services, job: Job, now: datetime) -> None:
    """Look whether a pack run has ended: when it was made, and when a prompt of it was deleted."""
    with services.store.transaction():
        end(services, job)
        tell_run(services, target(services, job))


def tell_run(services: Services, row: Row) -> None:
    """Tell that all prompts of a pack run have ended, once, and forget the run."""
    prompts = [found for id in row["prompt_ids"] if (found := services.store.get("prompt", id))]
    if any(prompt["state"] not in FINAL["prompt"] for prompt in prompts):
        return
    dump = services.contract.object_class({"$ref": "#/components/schemas/FinishedPrompt"})().dump
    ended = [dump(wire.prompt(services, prompt)) for prompt in prompts]
    wrapped = services.assumed("prompts-callback") == "wrapped"
    body: Any = {"prompts": ended} if wrapped else ended
    after = [("prompt", prompt.id) for prompt in prompts]
    services.callbacks.send(row, row["prompts_callback"], body, after=after)
    services.store.delete(row)


def callback_body(services: Services, kind: str, shown: Mapping[str, Any]) -> Any:
    """The wrapped object, with the fields of the callback's schema or, as assumed, all of them."""
    full = services.assumed("callback-body") == "full"
    name = kind.capitalize() if full else f"{kind.capitalize()}Callback"
    schema = services.contract.object_class({"$ref": f"#/components/schemas/{name}"})()
    return {kind: schema.dump(shown)} if full else schema.dump({kind: shown})


KINDS: Mapping[str, Callable[[Services, Job, datetime], None]] = {
    "start_tune": start_tune,
    "train_tune": train_tune,
    "expire_tune": expire_tune,
    "start_prompt": start_prompt,
    "generate_prompt": generate_prompt,
    "end_run": end_run,
}
