"""Seed data: objects to begin with, from a file that holds an exported state or was hand-written.

Objects of a hand-written file are created as by requests, and completed at once by the mock:
trained, with pictures, without faults and without callbacks.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from astria_emulator.api.handlers.packs import create_pack
from astria_emulator.api.handlers.prompts import create_tune_prompt
from astria_emulator.api.handlers.tunes import create_tune
from astria_emulator.api.operations import BoundOperation
from astria_emulator.control import archive
from astria_emulator.errors import ApiError, Invalid, Message, SetupError
from astria_emulator.faults.rules import Faults
from astria_emulator.objects.accounts import account_of, is_key
from astria_emulator.objects.results import Creation
from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.outbound.door import PostResult
from astria_emulator.request.calls import Call
from astria_emulator.services import Caller, Services
from astria_emulator.spec.openapi import JSON, Spec
from astria_emulator.spec.yaml_files import DocumentError, load_yaml
from astria_emulator.storage.state import SHOWN, State
from astria_emulator.storage.store import LANES_TO_FINISH, Query
from astria_emulator.work.jobs import run

log = logging.getLogger(__name__)

HANDLERS = {handler.__name__: handler for handler in (create_pack, create_tune, create_tune_prompt)}
ACCOUNT = ("key", "packs", "tunes")
NOBODY = -1  # owner of objects that are created only to find what is wrong with them
Json = Mapping[str, Any]


def begin(services: Services) -> None:
    """Read the file of --seed-data, and create its objects, now and after each reset.

    Does nothing now if the store has objects already. Raises SetupError with all that is wrong.
    """
    config = services.config
    if not config.seed_data:
        return
    subject = f"--seed-data {config.seed_data}"
    data = read(Path(config.seed_data), subject, config.max_body, services.contract.spec)
    if isinstance(data, State):
        # The origin by which clients will reach this server is not known yet.
        services.insert_seed_data = partial(services.restore, data.at(None))
    else:
        services.insert_seed_data = lambda: Seeder(services, subject).seed(data)
    with services.store.transaction():
        if has_objects(services):
            log.info("%s: there are objects already, and they are left as they are", subject)
        else:
            services.insert_seed_data()


def read(path: Path, subject: str, max_body: int, contract: Spec) -> Any:
    """Return the state or the hand-written document of a file.

    max_body: limit in bytes. contract: that of the API.

    Raises SetupError.
    """
    try:
        if not is_zipfile(path):
            return load_yaml(path)
        with path.open("rb") as source:
            return archive.load(source, max_body, contract)
    except (OSError, DocumentError) as error:
        raise SetupError(subject, [str(error)]) from None
    except ApiError as error:
        raise SetupError(subject, describe(error)) from None


def has_objects(services: Services) -> bool:
    """Return whether any account has an object."""
    return any(
        services.store.find(table, Query(user.id, limit=1))
        for user in services.store.find("user", Query(None))
        for table in SHOWN
    )


def describe(error: ApiError) -> list[str]:
    """Return what is wrong, one line for each problem."""
    if not isinstance(error, Invalid):
        return [error.error]
    lines = []
    for field, texts in error.messages.items():
        for text in texts:
            why = f" ({text.explanation})" if isinstance(text, Message) and text.explanation else ""
            lines.append(f"{text}{why}" if field == "base" else f"{field} {text}{why}")
    return lines


class NullOutbox:
    """An outbox that sends nothing."""

    senders = 0
    calls_each: int | None = None

    def submit(self, send: Callable[[], None]) -> None: ...
    def close(self) -> None: ...
    def flush(self) -> int:
        return 0

    def post(self, url: str, body: bytes, *, hang_up: bool) -> PostResult | None:
        return None


class Seeder:
    """Creates a document's objects, account by account, and collects all that is wrong with it."""

    def __init__(self, services: Services, subject: str):
        none = Faults(services.config.seed)
        callbacks = Callbacks(services.store, services.clock, NullOutbox(), none)
        self._services = replace(services, backend=services.mock, faults=none, callbacks=callbacks)
        self._subject = subject
        self._problems: list[str] = []
        compiler = services.contract
        self._bound = {
            operation.id: BoundOperation(operation, HANDLERS[operation.id], compiler)
            for operation in compiler.spec.operations
            if operation.id in HANDLERS
        }

    def seed(self, document: Any) -> None:
        """Create everything, or nothing.

        Raises SetupError with the place of each problem in the document.
        """
        with self._services.store.transaction():
            for place, account in self._list(document, "account", "the file"):
                self._account(place, account)
            if not self._problems:
                self._complete()
            if self._problems:
                raise SetupError(self._subject, self._problems)

    def _list(self, items: Any, name: str, within: str) -> list[tuple[str, Json]]:
        """Return a list's objects, each with its place as messages name it."""
        if not isinstance(items, list):
            self._problems.append(f"{within}: expected a list of {name}s")
            return []
        objects: list[tuple[str, Json]] = []
        for number, item in enumerate(items, 1):
            place = f"{name} {number}" if name == "account" else f"{within}, {name} {number}"
            if isinstance(item, dict):
                objects.append((place, item))
            else:
                self._problems.append(f"{place}: expected an object")
        return objects

    def _account(self, place: str, document: Json) -> None:
        for name in document.keys() - set(ACCOUNT):
            self._problems.append(f"{place}: {name} is none of {', '.join(ACCOUNT)}")
        key, account = document.get("key"), NOBODY
        if isinstance(key, str) and is_key(self._services, key):
            account = account_of(self._services, key).id
        else:
            self._problems.append(f"{place}: key is not an account's key")
        caller = Caller(account, origin="")
        for pack_place, pack in self._list(document.get("packs", []), "pack", place):
            self._create("create_pack", caller, pack_place, pack)
        tunes = self._list(document.get("tunes", []), "tune", place)
        # All tunes come first: a prompt may name any of them.
        ids = [self._tune(caller, tune_place, tune) for tune_place, tune in tunes]
        for (tune_place, tune), tune_id in zip(tunes, ids, strict=True):
            path = {"tune_id": str(tune_id or 1)}
            creator = caller if tune_id else None
            for prompt_place, prompt in self._list(tune.get("prompts", []), "prompt", tune_place):
                self._create("create_tune_prompt", creator, prompt_place, prompt, path)

    def _tune(self, caller: Caller, place: str, tune: Json) -> int | None:
        attributes = {name: value for name, value in tune.items() if name != "prompts"}
        created = self._create("create_tune", caller, place, attributes)
        return created.row.id if isinstance(created, Creation) else None

    def _create(
        self,
        id: str,
        caller: Caller | None,
        place: str,
        attributes: Json,
        path: Mapping[str, str] | None = None,
    ) -> Any:
        """Create an object as a request would; without a caller only check its attributes."""
        bound = self._bound[id]
        wrapper = bound.operation.wrapper or ""
        body = bound.operation.request_body or {}
        compiler = self._services.contract
        schema = compiler.spec.resolve(body["content"][JSON]["schema"])["properties"][wrapper]
        for name in sorted(attributes.keys() - compiler.property_names(schema)):
            self._problems.append(f"{place}: there is no {name}")
        text = json.dumps({wrapper: attributes}).encode()
        call = Call(
            path=path or {}, query=(), headers={}, content_type=JSON, text=text, has_body=True
        )
        try:
            loaded = bound.reader.load(call)
            return HANDLERS[id](self._services, caller, **loaded.given) if caller else None
        except ApiError as error:
            self._problems += [f"{place}: {line}" for line in describe(error)]

    def _complete(self) -> None:
        """Do all work at once, without waiting and without moving the clock."""
        store, now = self._services.store, self._services.clock.now()
        while job := store.claim_job(LANES_TO_FINISH, None):
            run(self._services, job, now)
        for row in store.rows():
            if row.table == "delivery":
                store.cancel_jobs(row)
                store.delete(row)
                store.set_next_ids({"delivery": 1})
            elif row.get("state") == "failed":
                why = row.get("user_error") or row.get("failure")
                self._problems.append(f"{row.table} {row.id} cannot be made: {why}")
