"""The work behind tunes and prompts: it drives the life cycle, the backend and the callbacks.

Every step reads its object anew within a transaction: while a backend works, anything may happen.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from astria_emulator.backend import Artefact, Backend, GenerateJob, Report, Trained, TrainJob
from astria_emulator.domain.lifecycle import FINAL, LONGEST_SECONDS, IllegalStep, step
from astria_emulator.domain.picture_sizes import picture_size
from astria_emulator.domain.prompt_text import tokens, words
from astria_emulator.errors import BackendError, Cancelled, Closing, NotFound, Unavailable, WorkLost
from astria_emulator.objects import presentation
from astria_emulator.objects.lineage import (
    base_of,
    home_of,
    needed_tunes,
    own_tune,
    root_base,
    tuned,
)
from astria_emulator.objects.media import kept_artefact
from astria_emulator.objects.presentation import callback_body
from astria_emulator.objects.removal import erase_tune, tune_ready
from astria_emulator.services import Services
from astria_emulator.storage.refs import base_mark
from astria_emulator.storage.store import Job, Query, Row

log = logging.getLogger(__name__)

# What is left of a tune's files when its storage has ended.
NO_FILES: Mapping[str, Any] = {
    **dict.fromkeys(("ckpt_key", "training")),
    **dict.fromkeys(("more_ckpt_keys", "image_keys", "image_names"), ()),
    **dict.fromkeys(("caption_keys", "caption_names"), ()),
}
# A kind of work -> the same on a slot of the backend.
ON_SLOT = {"train_tune": "train_on_slot", "generate_prompt": "generate_on_slot"}
NOTICED = timedelta(seconds=2)
FAILED = "Something went wrong on our side. Please try again."


class Gone(LookupError):
    """The object was deleted, or the job is not ours any more."""


def run(services: Services, job: Job, now: datetime) -> None:
    """Do a job; one whose object is gone, or has moved on, does nothing.

    It ends in the transaction that keeps its effect: neither is ever without the other. One that
    the database kept from ending, or that was lost, is done again.
    """
    try:
        attempt(services, job, now)
        services.store.end_job(job)
    except (Unavailable, WorkLost) as error:
        log.warning("%s of %s %d: to be done again: %s", job.kind, job.table, job.target, error)
    finally:
        services.store.let_go(job)


def attempt(services: Services, job: Job, now: datetime) -> None:
    """Do a job, or fail its object."""
    try:
        KINDS[job.kind](services, job, now)
    except (Unavailable, Closing):
        raise
    except WorkLost as error:
        lost = job.progress.get("lost", 0) + 1
        if lost < services.backend.tries:
            services.store.report(job, {"phase": "lost", "lost": lost})
            raise
        fail(services, job, str(error), now)
    except (Gone, IllegalStep, Cancelled) as error:
        log.debug("%s of %s %d: %s", job.kind, job.table, job.target, error)
        if job.kind == ON_SLOT["train_tune"] and services.store.get("tune", job.target) is None:
            services.backend.forget(job.target)  # what it kept after it was told so before
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
                release_waiting(services, row, now)
                services.store.on_commit(lambda: services.backend.forget(row.id))
            else:
                end_prompt(services, row)
    except (Gone, IllegalStep):
        return
    log.warning("%s %d failed: %s", job.table, job.target, reason)


# -- tunes -----------------------------------------------------------------------------------------
def start_tune(services: Services, job: Job, now: datetime) -> None:
    """Begin to train, unless the base is yet to be trained: its end begins it then."""
    with services.store.transaction():
        row = target(services, job)
        base = base_of(services, row)
        if base and base["state"] in ("queued", "training"):
            mark = base_mark(base.id)  # rows of earlier versions lack it
            if mark not in row.refs:
                services.store.update(row, {}, refs=(*row.refs, mark))
            end(services, job)
            return
        if base and base["state"] == "failed":
            raise BackendError(f"Tune {base.id}, its base, could not be trained.")
        row = advance(services, job, "start", now)
        backend = services.backend_for(row["branch"])
        seconds = backend.train_seconds(row) + late(services, "slow-training", row)
        hand_over(services, "train_tune", row, now, backend, seconds)


def late(services: Services, fault: str, row: Row) -> float:
    """Seconds more that a fault makes work take."""
    struck = services.faults.strike_row({fault}, row)
    return float(struck["seconds"]) if struck else 0.0


def fail_by_fault(services: Services, fault: str, row: Row) -> None:
    """Raises BackendError where a fault strikes an object."""
    if struck := services.faults.strike_row({fault}, row):
        raise BackendError(struck["message"])


def hand_over(
    services: Services, kind: str, row: Row, now: datetime, backend: Backend, seconds: float
) -> None:
    """Schedule a backend's work: on a slot, or once the time has passed that it seems to take."""
    if backend.pretends:
        services.schedule(kind, row, now + timedelta(seconds=seconds))
    else:
        services.schedule(ON_SLOT[kind], row, now)


def train_tune(services: Services, job: Job, now: datetime) -> None:
    row = target(services, job)
    fail_by_fault(services, "training-fails", row)
    backend = services.backend_for(row["branch"])
    trained = backend.train(train_job(services, row), report_of(services, job))
    if not backend.pretends:
        now = services.clock.now()
    try:
        keep_tune(services, job, now, trained)
    except BaseException:
        for made in trained.files:
            if isinstance(made.content, Path):
                made.content.unlink(missing_ok=True)
        raise


def keep_tune(services: Services, job: Job, now: datetime, trained: Trained) -> None:
    """Keep what training made, and tell of it."""
    with services.store.transaction():
        row = advance(services, job, "finish", now, training=dict(trained.report))
        hidden = row["branch"] == "flux1" and services.assumed("flux-weights") == "hidden"
        if trained.files and not hidden:
            first, *more = (
                services.keep(f"tune/{row.id}/{'weights' if at == 0 else f'weights/{at}'}", file)
                for at, file in enumerate(trained.files)
            )
            row = services.store.update(row, {"ckpt_key": first, "more_ckpt_keys": more})
        tune_ready(services, row)
        if row.get("callback"):
            body = callback_body(services, "tune", presentation.tune(services, row))
            services.callbacks.send(row, row["callback"], body)
        release_waiting(services, row, now)


def train_job(services: Services, row: Row) -> TrainJob:
    named = base_of(services, row)
    return TrainJob(
        tune_id=row.id,
        uid=row.uid,
        branch=row["branch"],
        model_type=row["model_type"],
        base_tune_id=root_base(row),
        images=named_files(services, row, "image"),
        captions=named_files(services, row, "caption"),
        attributes=row.data,
        checkpoint=own_tune(services, home_of(services, row["home_base_id"])),
        adapter=tuned(services, named) if named and named["model_type"] else None,
    )


def named_files(services: Services, row: Row, kind: str) -> list[Artefact]:
    """A tune's pictures or captions, with the names that they came with."""
    keys = row.get(f"{kind}_keys") or []
    names = row.get(f"{kind}_names") or [""] * len(keys)
    files = [kept_artefact(services, key) for key in keys]
    return [replace(file, name=name) for file, name in zip(files, names, strict=True)]


def report_of(services: Services, job: Job) -> Report:
    """What a backend calls with its progress: it is kept, and moves a tune's `eta`."""
    before = {"lost": job.progress["lost"]} if "lost" in job.progress else {}

    def report(progress: Mapping[str, Any]) -> bool:
        if not services.store.report(job, {**progress, **before}):
            return False
        if job.table == "tune" and "seconds_left" in progress:
            left = timedelta(seconds=min(progress["seconds_left"], LONGEST_SECONDS))
            move_eta(services, job, services.clock.now() + left)
        return True

    return report


def move_eta(services: Services, job: Job, eta: datetime) -> None:
    """Tell a tune's end anew, where that differs by more than it takes to look."""
    try:
        with services.store.transaction():
            row = target(services, job)
            if abs(row["eta"] - eta) > NOTICED:
                services.store.update(row, {"eta": eta})
    except Gone:
        return


def expire_tune(services: Services, job: Job, now: datetime) -> None:
    """Extend a tune's storage by 30 days, or erase its files and prompts; the tune stays."""
    with services.store.transaction():
        if target(services, job)["auto_extend"]:
            row = advance(services, job, "extend", now)
            services.schedule("expire_tune", row, row["expires_at"])
            return
        row = advance(services, job, "expire", now)
        erase_tune(services, row)
        services.store.update(row, dict(NO_FILES))


def release_waiting(services: Services, tune: Row, now: datetime) -> None:
    """Send on what waited for a tune: tunes on it, and prompts that wait for no other.

    Oldest first. To be called within a transaction.
    """
    for row in reversed(services.store.find("tune", Query(tune.owner, ref=base_mark(tune.id)))):
        if row["state"] == "queued":
            services.schedule("start_tune", row, now)
    waits = Query(tune.owner, ref=tune.id, test=lambda row: row["state"] == "waiting")
    for row in reversed(services.store.find("prompt", waits)):
        states = {tune["state"] for tune in needed_tunes(services, row)}
        if not states & {"queued", "training"}:
            row = services.store.update(row, step("prompt", row, "release", now))
            services.schedule("start_prompt", row, now)


# -- prompts ---------------------------------------------------------------------------------------
def start_prompt(services: Services, job: Job, now: datetime) -> None:
    with services.store.transaction():
        for tune in needed_tunes(services, target(services, job)):
            if tune["state"] == "failed":
                raise BackendError(f"Tune {tune.id} could not be trained.")
        row = advance(services, job, "start", now)
        backend = services.backend_for_prompt(row)
        seconds = backend.prompt_seconds(row) + late(services, "slow-prompt", row)
        hand_over(services, "generate_prompt", row, now, backend, seconds)


def generate_prompt(services: Services, job: Job, now: datetime) -> None:
    row = target(services, job)
    fail_by_fault(services, "prompt-fails", row)
    backend = services.backend_for_prompt(row)
    asked = [generate_job(services, row, backend)]
    [pictures] = backend.generate(asked, report_of(services, job))
    if not backend.pretends:
        now = services.clock.now()
    with services.store.transaction():
        row = advance(services, job, "finish", now)
        keys = [services.keep(f"prompt/{row.id}/{at}", made) for at, made in enumerate(pictures)]
        end_prompt(services, services.store.update(row, {"image_keys": keys}))


def generate_job(services: Services, row: Row, backend: Backend) -> GenerateJob:
    tune = services.store.get("tune", row["home_tune_id"])
    base = home_of(services, row["tune_id"])
    root = root_base(base)
    width, height = picture_size(row, row["branch"], own_side=backend.side(root))
    used = [token for token in tokens(row["text"]) if token.tune_id in row.refs]
    named = [services.store.get("tune", token.tune_id or 0) for token in used]
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
        base_tune_id=root,
        checkpoint=own_tune(services, base),
        adapters=[own for one in named if one and (own := own_tune(services, one))],
    )


def end_prompt(services: Services, row: Row) -> None:
    """Call back for a prompt that has ended, and for its pack runs when it was their last."""
    done = row["state"] == "finished" or services.assumed("failure-callback") == "send"
    if row.get("callback") and done:
        body = callback_body(services, "prompt", presentation.prompt(services, row))
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
    ended = [dump(presentation.prompt(services, prompt)) for prompt in prompts]
    wrapped = services.assumed("prompts-callback") == "wrapped"
    body: Any = {"prompts": ended} if wrapped else ended
    after = [("prompt", prompt.id) for prompt in prompts]
    ended_at = max((prompt["trained_at"] for prompt in prompts), default=None)
    services.callbacks.send(row, row["prompts_callback"], body, after=after, at=ended_at)
    services.store.delete(row)


def release_callback(services: Services, job: Job, now: datetime) -> None:
    services.callbacks.release(target(services, job).id)


KINDS: Mapping[str, Callable[[Services, Job, datetime], None]] = {
    "start_tune": start_tune,
    "train_tune": train_tune,
    "train_on_slot": train_tune,
    "expire_tune": expire_tune,
    "start_prompt": start_prompt,
    "generate_prompt": generate_prompt,
    "generate_on_slot": generate_prompt,
    "end_run": end_run,
    "release_callback": release_callback,
}
