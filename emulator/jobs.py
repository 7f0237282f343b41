"""The work behind tunes and prompts: it drives the life cycle, the backend and the callbacks."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from emulator import lifecycle, wire
from emulator.backend import GenerateJob, TrainJob
from emulator.errors import BackendError
from emulator.inputs import kept_artefact
from emulator.lifecycle import IllegalStep, step
from emulator.prompt_text import tokens, words
from emulator.removal import erase_tune
from emulator.services import Services
from emulator.sizes import picture_size
from emulator.store import Job, Query, Row

log = logging.getLogger(__name__)

FAILED = "Something went wrong on our side. Please try again."
Change = Mapping[str, Any]


def run(services: Services, job: Job, now: datetime) -> None:
    """Do a job; one whose object is gone, or has moved on, does nothing."""
    row = services.store.get(job.table, job.target)
    try:
        if row is not None:
            KINDS[job.kind](services, row, job, now)
    except IllegalStep as error:
        log.debug("%s %d: %s", job.table, job.target, error)
    except Exception as error:
        if not isinstance(error, BackendError):
            log.exception("%s of %s %d", job.kind, job.table, job.target)
        fail(services, job, str(error) if isinstance(error, BackendError) else FAILED, now)
    finally:
        services.store.end_job(job)


def fail(services: Services, job: Job, reason: str, now: datetime) -> None:
    """End an object without a result.

    The reason stays with it, under /_emulator/ and in the log.
    """
    log.warning("%s %d failed: %s", job.table, job.target, reason)
    with services.store.transaction():
        row = services.store.get(job.table, job.target)
        if row is None:
            return
        changes = step(row.table, row, "fail", now)
        shown = {"user_error": reason} if row.table == "prompt" else {"failure": reason}
        row = services.store.update(row, changes | shown)
    if row.table == "tune":
        release_prompts(services, row, now)
    else:
        end_prompt(services, row)


# -- tunes -----------------------------------------------------------------------------------------
def start_tune(services: Services, row: Row, job: Job, now: datetime) -> None:
    backend = services.backend_for(row["branch"])
    with services.store.transaction():
        row = services.store.update(row, step("tune", row, "start", now))
        pause = backend.train_seconds(row) if backend.pretends else 0
        services.schedule("train_tune", row, now + timedelta(seconds=pause))


def train_tune(services: Services, row: Row, job: Job, now: datetime) -> None:
    backend = services.backend_for(row["branch"])
    images = [kept_artefact(services, key) for key in row["image_keys"]]
    work = TrainJob(
        row.id, row["branch"], row["model_type"], row["home_base_id"], images, dict(row)
    )
    weights = backend.train(work, lambda progress: services.store.report(job, progress))
    if not backend.pretends:
        now = services.clock.now()
    with services.store.transaction():
        changes = step("tune", services.store.get("tune", row.id) or row, "finish", now)
        hidden = row["branch"] == "flux1" and services.assumed("flux-weights") == "hidden"
        if weights and not hidden:
            changes["ckpt_key"] = services.keep(f"tune/{row.id}/weights", weights)
        row = services.store.update(row, changes)
    tune_ready(services, row)
    if row.get("callback"):
        services.callbacks.send(
            row, row["callback"], callback_body(services, "tune", wire.tune(services, row))
        )
    release_prompts(services, row, now)


def tune_ready(services: Services, row: Row) -> None:
    """A tune has been trained: its storage begins to run."""
    services.schedule("expire_tune", row, row["expires_at"])


def expire_tune(services: Services, row: Row, job: Job, now: datetime) -> None:
    """Extend a tune's storage by 30 days, or erase its files and prompts.

    The tune stays readable.
    """
    with services.store.transaction():
        if row["auto_extend"]:
            row = services.store.update(row, step("tune", row, "extend", now))
            services.schedule("expire_tune", row, row["expires_at"])
            return
        row = services.store.update(row, step("tune", row, "expire", now))
        erase_tune(services, row)
        services.store.update(row, {"ckpt_key": None, "image_keys": []})


def release_prompts(services: Services, tune: Row, now: datetime) -> None:
    """Send on the prompts that waited for a tune, oldest first, if they wait for no other."""
    waiting = services.store.find(
        "prompt", Query(tune.owner, ref=tune.id, test=lambda row: row["state"] == "waiting")
    )
    for row in reversed(waiting):
        with services.store.transaction():
            states = {tune["state"] for tune in needed_tunes(services, row)}
            if not states & {"queued", "training"}:
                row = services.store.update(row, step("prompt", row, "release", now))
                services.schedule("start_prompt", row, now)


def needed_tunes(services: Services, prompt: Row) -> list[Row]:
    """The tunes that a prompt is made with."""
    ids = [ref for ref in prompt.refs if isinstance(ref, int)]
    return [tune for id in ids if (tune := services.store.get("tune", id))]


# -- prompts ---------------------------------------------------------------------------------------
def start_prompt(services: Services, row: Row, job: Job, now: datetime) -> None:
    for tune in needed_tunes(services, row):
        if tune["state"] == "failed":
            raise BackendError(f"Tune {tune.id} could not be trained.")
    backend = services.backend_for(row["branch"])
    with services.store.transaction():
        row = services.store.update(row, step("prompt", row, "start", now))
        pause = backend.prompt_seconds(row) if backend.pretends else 0
        services.schedule("generate_prompt", row, now + timedelta(seconds=pause))


def generate_prompt(services: Services, row: Row, job: Job, now: datetime) -> None:
    backend = services.backend_for(row["branch"])
    [pictures] = backend.generate(
        [generate_job(services, row)], lambda progress: services.store.report(job, progress)
    )
    if not backend.pretends:
        now = services.clock.now()
    with services.store.transaction():
        changes = step("prompt", services.store.get("prompt", row.id) or row, "finish", now)
        changes["image_keys"] = [
            services.keep(f"prompt/{row.id}/{index}", made) for index, made in enumerate(pictures)
        ]
        row = services.store.update(row, changes)
    end_prompt(services, row)


def generate_job(services: Services, row: Row) -> GenerateJob:
    width, height = picture_size(row, row["branch"])
    tune = services.store.get("tune", row["home_tune_id"])
    named = [
        (token.kind, token.tune_id, token.scale)
        for token in tokens(row["text"])
        if token.tune_id in row.refs
    ]
    return GenerateJob(
        prompt_id=row.id,
        tune_id=row["home_tune_id"],
        tune_title=str(tune["title"]) if tune else "",
        branch=row["branch"],
        text=words(row["text"]) or row.get("video_prompt") or "",
        subject=row.get("class_name") or "",
        # A seed that was not given differs from prompt to prompt, and comes again in the same
        # history.
        seed=row["seed"]
        if row.get("seed") is not None
        else (row.id * 2654435761 + services.config.seed) % 2**32,
        num_images=row["num_images"],
        width=width,
        height=height,
        tunes=[(kind, tune_id, scale) for kind, tune_id, scale in named if tune_id],
        attributes=dict(row),
        images={
            name: kept_artefact(services, key)
            for name, key in row["files"].items()
            if isinstance(key, str)
        },
    )


def end_prompt(services: Services, row: Row) -> None:
    """Call back for a prompt that has ended, and for its pack run when it was the last."""
    done = row["state"] == "finished" or services.assumed("failure-callback") == "send"
    if row.get("callback") and done:
        body = callback_body(services, "prompt", wire.prompt(services, row))
        earlier = [("tune", tune.id) for tune in needed_tunes(services, row)]
        services.callbacks.send(row, row["callback"], body, after=earlier)
    run = services.store.get("run", row["run_id"]) if row.get("run_id") else None
    if run and run["prompts_callback"]:
        end_run(services, run)


def end_run(services: Services, run: Row) -> None:
    """Tell that all prompts of a pack run have ended, once."""
    with services.store.transaction():
        run = services.store.get("run", run.id) or run
        prompts = [row for id in run["prompt_ids"] if (row := services.store.get("prompt", id))]
        if run["told"] or any(row["state"] not in lifecycle.FINAL["prompt"] for row in prompts):
            return
        run = services.store.update(run, {"told": True})
    dump = services.contract.object_class({"$ref": "#/components/schemas/FinishedPrompt"})().dump
    ended = [dump(wire.prompt(services, row)) for row in prompts]
    body: Any = {"prompts": ended} if services.assumed("prompts-callback") == "wrapped" else ended
    services.callbacks.send(
        run, run["prompts_callback"], body, after=[("prompt", row.id) for row in prompts]
    )


def callback_body(services: Services, kind: str, shown: Mapping[str, Any]) -> Any:
    """The wrapped object, with the fields of the callback's schema or, as assumed, all of them."""
    name = kind.capitalize()
    if services.assumed("callback-body") == "full":
        return {
            kind: services.contract.object_class({"$ref": f"#/components/schemas/{name}"})().dump(
                shown
            )
        }
    return services.contract.object_class({"$ref": f"#/components/schemas/{name}Callback"})().dump(
        {kind: shown}
    )


KINDS: Mapping[str, Callable[[Services, Row, Job, datetime], None]] = {
    "start_tune": start_tune,
    "train_tune": train_tune,
    "expire_tune": expire_tune,
    "start_prompt": start_prompt,
    "generate_prompt": generate_prompt,
}
