"""Handlers under /_emulator/: health, reset, snapshots, clock, settings, callbacks, jobs, faults.

A function's name is its operationId in control.yaml.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from importlib import metadata
from itertools import islice
from typing import Any

from astria_emulator.clock import VirtualClock
from astria_emulator.config import LAST_YEAR
from astria_emulator.errors import Conflict, Degraded, Invalid, NotFound, SetupError
from astria_emulator.faults.reading import (
    operation_names,
    read_rule,
    rule_as_json,
    scenarios,
    unknown_scenario,
)
from astria_emulator.faults.rules import ActiveRule
from astria_emulator.objects.accounts import account_of, is_key
from astria_emulator.services import Caller, Services
from astria_emulator.storage.snapshots import Snapshot, check_name

CALLBACK_SECONDS = 15.0  # that `finish` waits for callbacks
Json = Mapping[str, Any]


def health(services: Services, caller: Caller) -> Json:
    """It asks nothing of the store, so that it answers whatever else is stuck.

    Raises Degraded.
    """
    if problem := services.store.problem():
        raise Degraded([f"the database: {problem}"])
    return {"status": "ok"}


def info(services: Services, caller: Caller) -> Json:
    config = services.config
    schema = services.contract.spec.schema("Branch")
    return {
        "name": "astria-emulator",
        "version": version(),
        "contract": services.contract.spec.document["info"]["version"],
        "capabilities": {
            "clock": "virtual" if isinstance(services.clock, VirtualClock) else "system",
            "seed": config.seed,
            "idempotency_switch": True,
            "finish": True,
            "faults": True,
            "real_training": services.backend is not services.mock,
            "callback_hosts": list(config.callback_hosts),
            "fetch_hosts": list(config.fetch_hosts),
            "backends": {branch: services.backend_for(branch).name for branch in schema["enum"]},
        },
        "settings": read_settings(services, caller),
        "assumptions": config.assumed,
    }


def reset(services: Services, caller: Caller) -> Json:
    try:
        services.reset()
    except SetupError as error:  # of seed data, which may name objects of the first start
        raise Conflict(str(error)) from None
    return {"status": "ok"}


def list_snapshots(services: Services, caller: Caller) -> list[Json]:
    return [snapshot.shown for snapshot in services.snapshots.all()]


def take_snapshot(services: Services, caller: Caller, *, name: str) -> Json:
    check_name(name)
    snapshot = Snapshot(name, services.clock.now(), services.state())
    services.snapshots.keep(snapshot)
    return snapshot.shown


def restore_snapshot(services: Services, caller: Caller, *, name: str) -> Json:
    snapshot = services.snapshots.get(name)
    services.restore(snapshot.state)
    return snapshot.shown


def remove_snapshot(services: Services, caller: Caller, *, name: str) -> Json:
    services.snapshots.remove(name)
    return {"status": "ok"}


def read_clock(services: Services, caller: Caller) -> Json:
    return {"now": services.clock.now(), "virtual": isinstance(services.clock, VirtualClock)}


def advance_clock(services: Services, caller: Caller, *, body: Json) -> Json:
    if not isinstance(services.clock, VirtualClock):
        raise Conflict(
            "the clock is the system's; start with --clock TIME for one that can be moved"
        )
    span = timedelta(**body)
    if services.clock.now().year + span.days // 365 > LAST_YEAR:
        raise Invalid({"days": [f"leads beyond the year {LAST_YEAR}"]})
    services.clock.advance(span)
    services.runner.settle()
    return read_clock(services, caller)


def finish(services: Services, caller: Caller) -> Json:
    jobs = services.runner.finish()
    return {"jobs": jobs, "callbacks_ended": services.callbacks.wait(CALLBACK_SECONDS)}


def read_seed(services: Services, caller: Caller) -> Json:
    return {"seed": services.config.seed}


def change_seed(services: Services, caller: Caller, *, body: Json) -> Json:
    services.reseed(body["seed"])
    return read_seed(services, caller)


def read_settings(services: Services, caller: Caller) -> Json:
    return {"idempotency": services.idempotency}


def change_settings(services: Services, caller: Caller, *, body: Json) -> Json:
    key = body.get("key")
    if not key:
        services.idempotency = body["idempotency"]
        return read_settings(services, caller)
    if not is_key(services, key):
        raise Invalid({"key": ["is not an account's key"]})
    services.store.update(account_of(services, key), {"idempotency": body["idempotency"]})
    return {"idempotency": body["idempotency"]}


def list_callbacks(services: Services, caller: Caller) -> list[Json]:
    return [dict(row) for row in services.callbacks.newest()]


def redeliver(services: Services, caller: Caller, *, id: int) -> Json:
    delivery = services.store.get("delivery", id)
    if delivery is None:
        raise NotFound
    return dict(services.callbacks.send_again(delivery))


def list_jobs(services: Services, caller: Caller, *, query: Json) -> list[Json]:
    return [asdict(job) for job in services.store.jobs(limit=query["limit"])]


def read_tune(services: Services, caller: Caller, *, id: int) -> Json:
    row = services.store.get("tune", id)
    if row is None:
        raise NotFound
    names = ("state", "branch", "backend", "failure")
    fields = {name: row.get(name) for name in names}
    return {"id": row.id, **fields, "training": row.get("training") or {}}


def list_requests(services: Services, caller: Caller, *, query: Json) -> list[Json]:
    entries = services.journal.newest(query.get("operation"))
    return [asdict(entry) for entry in islice(entries, query["limit"])]


def list_faults(services: Services, caller: Caller) -> list[Json]:
    return [_rule_with_counts(rule) for rule in services.faults.active()]


def add_fault(services: Services, caller: Caller, *, body: Json) -> Json:
    names = operation_names(services.contract.spec)
    return _rule_with_counts(services.faults.add(read_rule(body, names)))


def remove_fault(services: Services, caller: Caller, *, id: int) -> Json:
    if not services.faults.remove(id):
        raise NotFound
    return {"status": "ok"}


def clear_faults(services: Services, caller: Caller) -> Json:
    services.faults.set(())
    return {"status": "ok"}


def list_scenarios(services: Services, caller: Caller) -> list[Json]:
    return [
        {**asdict(scenario), "rules": [rule_as_json(rule) for rule in scenario.rules]}
        for scenario in scenarios().values()
    ]


def play_scenario(services: Services, caller: Caller, *, name: str) -> list[Json]:
    if name not in scenarios():
        raise NotFound(unknown_scenario(name))
    services.faults.set(scenarios()[name].rules)
    return list_faults(services, caller)


def _rule_with_counts(active: ActiveRule) -> Json:
    counts = {"met": active.met, "struck": active.struck}
    return {"id": active.id, "rule": rule_as_json(active.rule), **counts}


def version() -> str:
    """Return the installed version of the package."""
    try:
        return metadata.version("astria-emulator")
    except metadata.PackageNotFoundError:
        return "0+unknown"


HANDLERS = {
    handler.__name__: handler
    for handler in (
        health,
        info,
        reset,
        list_snapshots,
        take_snapshot,
        restore_snapshot,
        remove_snapshot,
        read_clock,
        advance_clock,
        finish,
        read_seed,
        change_seed,
        read_settings,
        change_settings,
        list_callbacks,
        redeliver,
        list_jobs,
        read_tune,
        list_requests,
        list_faults,
        add_fault,
        remove_fault,
        clear_faults,
        list_scenarios,
        play_scenario,
    )
}
