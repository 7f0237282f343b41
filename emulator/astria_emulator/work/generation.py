"""The jobs of prompts: start, generate pictures, call back, end pack runs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from astria_emulator.backend import Artefact, Backend, GenerateJob
from astria_emulator.domain.lifecycle import FINAL
from astria_emulator.domain.picture_sizes import picture_size
from astria_emulator.domain.prompt_text import tokens, words
from astria_emulator.errors import BackendError
from astria_emulator.objects import presentation
from astria_emulator.objects.lineage import home_of, needed_tunes, own_tune, root_base
from astria_emulator.objects.media import stored_artefact
from astria_emulator.services import Services
from astria_emulator.storage.store import Job, Query, Row
from astria_emulator.work.job_steps import (
    advance,
    end,
    fail_by_fault,
    fault_delay,
    report_of,
    schedule_work,
    store_result,
    target,
)


def start_prompt(services: Services, job: Job, now: datetime) -> None:
    with services.store.transaction():
        for tune in needed_tunes(services, target(services, job)):
            if tune["state"] == "failed":
                raise BackendError(f"Tune {tune.id} could not be trained.")
        row = advance(services, job, "start", now)
        backend = services.backend_for_prompt(row)
        seconds = backend.prompt_seconds(row) + fault_delay(services, "slow-prompt", row)
        schedule_work(services, "generate_prompt", row, now, backend=backend, seconds=seconds)


def generate_prompt(services: Services, job: Job, now: datetime) -> None:
    row = target(services, job)
    fail_by_fault(services, "prompt-fails", row)
    backend = services.backend_for_prompt(row)
    batch = [generate_job(services, row, backend)]
    [pictures] = backend.generate(batch, report_of(services, job))
    if not backend.pretends:
        now = services.clock.now()
    store_result(services, backend, lambda: finish_prompt(services, job, now, pictures))


def finish_prompt(
    services: Services, job: Job, now: datetime, pictures: Sequence[Artefact]
) -> None:
    """Store a prompt's pictures, and call back."""
    with services.store.transaction():
        row = advance(services, job, "finish", now)
        keys = [services.keep(f"prompt/{row.id}/{at}", file) for at, file in enumerate(pictures)]
        end_prompt(services, services.store.update(row, {"image_keys": keys}))


def generate_job(services: Services, row: Row, backend: Backend) -> GenerateJob:
    """Return what a backend needs to generate a prompt's pictures."""
    tune = services.store.get("tune", row["home_tune_id"])
    base = home_of(services, row["tune_id"])
    root = root_base(base)
    width, height = picture_size(row, row["branch"], own_side=backend.side(root))
    named = [token for token in tokens(row["text"]) if token.tune_id in row.refs]
    named_tunes = [services.store.get("tune", token.tune_id or 0) for token in named]
    # Without a seed of its own each prompt gets another one, the same for the same history.
    default_seed = (row.id * 2654435761 + services.config.seed) % 2**32
    return GenerateJob(
        prompt_id=row.id,
        tune_id=row["home_tune_id"],
        tune_title=str(tune["title"]) if tune else "",
        branch=row["branch"],
        text=words(row["text"]) or row.get("video_prompt") or "",
        subject=row.get("class_name") or "",
        seed=default_seed if row.get("seed") is None else row["seed"],
        num_images=row["num_images"],
        width=width,
        height=height,
        tunes=[(token.kind, token.tune_id or 0, token.scale) for token in named],
        attributes=row.data,
        images={
            name: stored_artefact(services, key)
            for name, key in row["files"].items()
            if isinstance(key, str)
        },
        base_tune_id=root,
        checkpoint=own_tune(services, base),
        adapters=[own for row in named_tunes if row and (own := own_tune(services, row))],
    )


def end_prompt(services: Services, row: Row) -> None:
    """Call back for a prompt that has ended, and for its pack runs if all their prompts have."""
    is_sent = row["state"] == "finished" or services.assumed("failure-callback") == "send"
    if row.get("callback") and is_sent:
        body = presentation.callback_body(services, "prompt", presentation.prompt(services, row))
        earlier = [("tune", tune.id) for tune in needed_tunes(services, row)]
        services.callbacks.send(row, row["callback"], body, after=earlier)
    for run in services.store.find("run", Query(row.owner, ref=row.id)):
        complete_run(services, run)


def end_run(services: Services, job: Job, now: datetime) -> None:
    """Check whether a pack run has ended: once it is created, or a prompt of it is deleted."""
    with services.store.transaction():
        end(services, job)
        complete_run(services, target(services, job))


def complete_run(services: Services, row: Row) -> None:
    """Call back once for a pack run whose prompts have all ended, and delete the run."""
    prompts = [prompt for id in row["prompt_ids"] if (prompt := services.store.get("prompt", id))]
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
