"""Remove objects together with their files, their jobs and what belongs to them."""

from collections.abc import Iterator
from datetime import timedelta

from astria_emulator.domain.lifecycle import shortened
from astria_emulator.services import Services
from astria_emulator.storage.store import Query, Row


def remove_tune(services: Services, row: Row) -> None:
    """Delete a tune with all that `erase_tune` erases."""
    with services.store.transaction():
        erase_tune(services, row)
        services.store.cancel_jobs(row)
        services.store.delete(row)
        services.store.on_commit(lambda: services.backend.forget(row.id))


def erase_tune(services: Services, row: Row) -> None:
    """Erase a tune's weights, pictures and own prompts.

    Prompts under another tune that only name it in their text stay.
    """
    for prompt in services.store.find("prompt", Query(row.owner, ref=row.id)):
        if row.id in (prompt["home_tune_id"], prompt["tune_id"]):
            remove_prompt(services, prompt)
    services.files.delete([*row["image_keys"], *(row.get("caption_keys") or ()), *weight_keys(row)])


def weight_keys(tune: Row) -> list[str]:
    """Return the keys of a tune's weights, that of `ckpt_url` first."""
    first = [tune["ckpt_key"]] if tune.get("ckpt_key") else []
    return [*first, *(tune.get("more_ckpt_keys") or ())]


def remove_prompt(services: Services, row: Row) -> None:
    """Delete a prompt with its pictures and input files."""
    with services.store.transaction():
        services.store.cancel_jobs(row)
        services.store.delete(row)
        services.files.delete(list(_keys(row)))
        for run in services.store.find("run", Query(row.owner, ref=row.id)):
            services.schedule("end_run", run, services.clock.now())


def _keys(prompt: Row) -> Iterator[str]:
    yield from prompt["image_keys"]
    for keys in prompt["files"].values():
        yield from [keys] if isinstance(keys, str) else keys


def schedule_expiry(services: Services, row: Row) -> None:
    """Schedule the end of storage of a tune that has just been trained."""
    if injected := services.faults.inject_for_row({"tune-expires"}, row):
        ends = row["trained_at"] + timedelta(seconds=injected["seconds"])
        row = services.store.update(row, shortened(ends))
    services.schedule("expire_tune", row, row["expires_at"])
