"""The jobs of tunes: start, train, store the weights, expire, release what waits."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from astria_emulator.backend import Artefact, Trained, TrainJob
from astria_emulator.domain.lifecycle import step
from astria_emulator.errors import BackendError
from astria_emulator.objects import presentation
from astria_emulator.objects.lineage import (
    base_of,
    home_of,
    needed_tunes,
    own_tune,
    root_base,
    tuned,
)
from astria_emulator.objects.media import stored_artefact
from astria_emulator.objects.removal import erase_tune, schedule_expiry
from astria_emulator.services import Services
from astria_emulator.storage.own_folders import erase, is_ours
from astria_emulator.storage.refs import base_ref
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

# A tune's fields for files once its storage has ended.
NO_FILES: Mapping[str, Any] = {
    **dict.fromkeys(("ckpt_key", "training")),
    **dict.fromkeys(("more_ckpt_keys", "image_keys", "image_names"), ()),
    **dict.fromkeys(("caption_keys", "caption_names"), ()),
}


def start_tune(services: Services, job: Job, now: datetime) -> None:
    """Begin training, unless the base is not trained yet: the end of its training does so then."""
    with services.store.transaction():
        row = target(services, job)
        base = base_of(services, row)
        if base and base["state"] in ("queued", "training"):
            ref = base_ref(base.id)  # missing in rows of earlier versions
            if ref not in row.refs:
                services.store.update(row, {}, refs=(*row.refs, ref))
            end(services, job)
            return
        if base and base["state"] == "failed":
            raise BackendError(f"Tune {base.id}, its base, could not be trained.")
        row = advance(services, job, "start", now)
        backend = services.backend_for(row["branch"])
        seconds = backend.train_seconds(row) + fault_delay(services, "slow-training", row)
        schedule_work(services, "train_tune", row, now, backend=backend, seconds=seconds)


def train_tune(services: Services, job: Job, now: datetime) -> None:
    row = target(services, job)
    fail_by_fault(services, "training-fails", row)
    backend = services.backend_for(row["branch"])
    trained = backend.train(train_job(services, row), report_of(services, job))
    if not backend.pretends:
        now = services.clock.now()
    try:
        store_result(services, backend, lambda: finish_tune(services, job, now, trained))
    except BaseException:
        for file in trained.files:
            if isinstance(file.content, Path) and is_ours(file.content):
                erase(file.content)
        raise


def finish_tune(services: Services, job: Job, now: datetime, trained: Trained) -> None:
    """Store a tune's weights, call back, and release what waits for it."""
    with services.store.transaction():
        row = advance(services, job, "finish", now, training=dict(trained.report))
        hidden = row["branch"] == "flux1" and services.assumed("flux-weights") == "hidden"
        if trained.files and not hidden:
            first, *others = (
                services.keep(f"tune/{row.id}/{'weights' if at == 0 else f'weights/{at}'}", file)
                for at, file in enumerate(trained.files)
            )
            row = services.store.update(row, {"ckpt_key": first, "more_ckpt_keys": others})
        schedule_expiry(services, row)
        if row.get("callback"):
            body = presentation.callback_body(services, "tune", presentation.tune(services, row))
            services.callbacks.send(row, row["callback"], body)
        release_waiting(services, row, now)
        services.store.on_commit(lambda: services.backend.forget(row.id))


def train_job(services: Services, row: Row) -> TrainJob:
    """Return what a backend needs to train a tune."""
    base = base_of(services, row)
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
        adapter=tuned(services, base) if base and base["model_type"] else None,
    )


def named_files(services: Services, row: Row, kind: str) -> list[Artefact]:
    """Return a tune's pictures or captions with the names of the uploads. kind: image, caption."""
    keys = row.get(f"{kind}_keys") or []
    names = row.get(f"{kind}_names") or [""] * len(keys)
    files = [stored_artefact(services, key) for key in keys]
    return [replace(file, name=name) for file, name in zip(files, names, strict=True)]


def expire_tune(services: Services, job: Job, now: datetime) -> None:
    """Extend a tune's storage by 30 days, or erase its files and prompts; the tune stays."""
    with services.store.transaction():
        if target(services, job)["auto_extend"]:
            row = advance(services, job, "extend", services.clock.now())
            services.schedule("expire_tune", row, row["expires_at"])
            return
        row = advance(services, job, "expire", now)
        erase_tune(services, row)
        services.store.update(row, dict(NO_FILES))


def release_waiting(services: Services, tune: Row, now: datetime) -> None:
    """Start what waited for a tune, oldest first: tunes based on it, then prompts.

    Prompts that wait for another tune go on waiting. To be called within a transaction.
    """
    for row in reversed(services.store.find("tune", Query(tune.owner, ref=base_ref(tune.id)))):
        if row["state"] == "queued":
            services.schedule("start_tune", row, now)
    waits = Query(tune.owner, ref=tune.id, test=lambda row: row["state"] == "waiting")
    for row in reversed(services.store.find("prompt", waits)):
        states = {tune["state"] for tune in needed_tunes(services, row)}
        if not states & {"queued", "training"}:
            row = services.store.update(row, step("prompt", row, "release", now))
            services.schedule("start_prompt", row, now)
