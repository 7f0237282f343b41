"""Objects to begin with, from a file: an exported state, or what people write.

Written by hand they are made as requests make them, and done at once: trained, with pictures, by
the mock, without faults and without a call to anybody.
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
from astria_emulator.objects.results import Made
from astria_emulator.outbound.callbacks import Callbacks
from astria_emulator.outbound.door import PostResult
from astria_emulator.request.calls import Call
from astria_emulator.services import Caller, Services
from astria_emulator.spec.openapi import JSON
from astria_emulator.spec.yaml_files import DocumentError, load_yaml
from astria_emulator.storage.state import SHOWN, State
from astria_emulator.storage.store import LANES_TO_FINISH, Query
from astria_emulator.work.jobs import run

log = logging.getLogger(__name__)

HANDLERS = {handler.__name__: handler for handler in (create_pack, create_tune, create_tune_prompt)}
ACCOUNT = ("key", "packs", "tunes")
NOBODY = -1  # whose objects are made only to tell what is wrong with them
Given = Mapping[str, Any]


def begin(services: Services) -> None:
    """Read the file that the settings name, and sow what is in it, now and after each reset.

    A store that has objects already is left alone. Raises SetupError with all that is wrong.
    """
    config = services.config
    if not config.seed_data:
        return
    subject = f"--seed-data {config.seed_data}"
    found = read(Path(config.seed_data), subject, config.max_body)
    if isinstance(found, State):
        # Nobody knows yet how this server will be reached.
        services.insert_seed_data = partial(services.restore, found.at(None))
    else:
        services.insert_seed_data = lambda: Sowing(services, subject).sow(found)
    with services.store.transaction():
        if has_objects(services):
            log.info("%s: there are objects already, and they are left as they are", subject)
        else:
            services.insert_seed_data()


def read(path: Path, subject: str, max_body: int) -> Any:
    """A state, or the document that somebody has written. max_body: bytes of a request's body.

    Raises SetupError.
    """
    try:
        if not is_zipfile(path):
            return load_yaml(path)
        with path.open("rb") as source:
            return archive.load(source, max_body)
    except (OSError, DocumentError) as error:
        raise SetupError(subject, [str(error)]) from None
    except ApiError as error:
        raise SetupError(subject, told(error)) from None


def has_objects(services: Services) -> bool:
    """Whether any account has one."""
    return any(
        services.store.find(table, Query(user.id, limit=1))
        for user in services.store.find("user", Query(None))
        for table in SHOWN
    )


def told(error: ApiError) -> list[str]:
    """What is wrong, a line for each."""
    if not isinstance(error, Invalid):
        return [error.error]
    lines = []
    for field, texts in error.messages.items():
        for text in texts:
            why = f" ({text.explanation})" if isinstance(text, Message) and text.explanation else ""
            lines.append(f"{text}{why}" if field == "base" else f"{field} {text}{why}")
    return lines


class Unsent:
    """Sends nothing."""

    senders = 0

    def submit(self, send: Callable[[], None]) -> None: ...
    def close(self) -> None: ...
    def flush(self) -> int:
        return 0

    def post(self, url: str, body: bytes, *, hang_up: bool) -> PostResult | None:
        return None


class Sowing:
    """Makes what a document says, account by account, and notes all that is wrong with it."""

    def __init__(self, services: Services, subject: str):
        none = Faults(services.config.seed)
        callbacks = Callbacks(services.store, services.clock, Unsent(), none)
        self._services = replace(services, backend=services.mock, faults=none, callbacks=callbacks)
        self._subject = subject
        self._problems: list[str] = []
        compiler = services.contract
        self._bound = {
            operation.id: BoundOperation(operation, HANDLERS[operation.id], compiler)
            for operation in compiler.spec.operations
            if operation.id in HANDLERS
        }

    def sow(self, document: Any) -> None:
        """Make everything, or nothing.

        Raises SetupError with the place of each problem.
        """
        with self._services.store.transaction():
            for place, account in self._list(document, "account", "the file"):
                self._account(place, account)
            if not self._problems:
                self._complete()
            if self._problems:
                raise SetupError(self._subject, self._problems)

    def _list(self, items: Any, name: str, within: str) -> list[tuple[str, Given]]:
        """Objects of a list, each with its place."""
        if not isinstance(items, list):
            self._problems.append(f"{within}: expected a list of {name}s")
            return []
        found: list[tuple[str, Given]] = []
        for number, item in enumerate(items, 1):
            place = f"{name} {number}" if name == "account" else f"{within}, {name} {number}"
            if isinstance(item, dict):
                found.append((place, item))
            else:
                self._problems.append(f"{place}: expected an object")
        return found

    def _account(self, place: str, given: Given) -> None:
        for name in given.keys() - set(ACCOUNT):
            self._problems.append(f"{place}: {name} is none of {', '.join(ACCOUNT)}")
        key, account = given.get("key"), NOBODY
        if isinstance(key, str) and is_key(self._services, key):
            account = account_of(self._services, key).id
        else:
            self._problems.append(f"{place}: key is not an account's key")
        caller = Caller(account, origin="")
        for where, pack in self._list(given.get("packs", []), "pack", place):
            self._make("create_pack", caller, where, pack)
        tunes = self._list(given.get("tunes", []), "tune", place)
        # All tunes come first: a prompt may name any of them.
        made = [self._tune(caller, where, tune) for where, tune in tunes]
        for (where, tune), tune_id in zip(tunes, made, strict=True):
            path = {"tune_id": str(tune_id or 1)}
            for at, prompt in self._list(tune.get("prompts", []), "prompt", where):
                self._make("create_tune_prompt", caller if tune_id else None, at, prompt, path)

    def _tune(self, caller: Caller, place: str, given: Given) -> int | None:
        own = {name: value for name, value in given.items() if name != "prompts"}
        made = self._make("create_tune", caller, place, own)
        return made.row.id if isinstance(made, Made) else None

    def _make(
        self, id: str, caller: Caller | None, place: str, given: Given, path: Any = None
    ) -> Any:
        """Make an object as a request would; without a caller it is looked at only."""
        bound = self._bound[id]
        wrapper = bound.operation.wrapper or ""
        body = bound.operation.request_body or {}
        compiler = self._services.contract
        schema = compiler.spec.resolve(body["content"][JSON]["schema"])["properties"][wrapper]
        for name in sorted(given.keys() - compiler.property_names(schema)):
            self._problems.append(f"{place}: there is no {name}")
        text = json.dumps({wrapper: given}).encode()
        call = Call(path or {}, (), {}, content_type=JSON, text=text, has_body=True)
        try:
            loaded = bound.reader.load(call)
            return HANDLERS[id](self._services, caller, **loaded.given) if caller else None
        except ApiError as error:
            self._problems += [f"{place}: {line}" for line in told(error)]

    def _complete(self) -> None:
        """Do all work at once: nobody shall wait, and no clock shall move."""
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
