"""The handle `astria`, by which a test watches and controls the emulator behind its calls."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from astria_emulator.app import Emulator
from astria_emulator.clock import VirtualClock
from astria_emulator.errors import Invalid, NotFound, SetupError
from astria_emulator.faults.reading import operation_names, read_rule, scenarios, unknown_scenario
from astria_emulator.request.connection import IS_LOCAL
from astria_emulator.request.journal import Entry
from astria_emulator.storage.store import Query, Row
from astria_emulator.testing.intercept.exchange import (
    SENT_PATIENCE,
    InterceptedRequest,
    InterceptedResponse,
    exchange,
    relay,
)
from astria_emulator.testing.intercept.local_outbox import LocalOutbox
from astria_emulator.testing.intercept.receivers import receiver_of
from astria_emulator.testing.intercept.views import Callback, Prompt, Tune

MAX_ROUNDS = 200  # of work and callbacks that cause each other


class Astria:
    """The emulator behind intercepted calls: its state, its clock and its faults."""

    def __init__(self, app: Emulator, outbox: LocalOutbox, *, base_url: str):
        self._app, self._outbox = app, outbox
        self._services = app.services  # readable also after the mock has been left
        self._base = urlsplit(base_url)
        self._running = ExitStack()
        self._is_left = False
        self._url = ""

    # -- state -------------------------------------------------------------------------------------
    @property
    def tunes(self) -> list[Tune]:
        """Every account's tunes, oldest first."""
        return [Tune.of(self._services, row) for row in self._rows("tune")]

    @property
    def prompts(self) -> list[Prompt]:
        """Every account's prompts, oldest first."""
        return [Prompt.of(self._services, row) for row in self._rows("prompt")]

    @property
    def callbacks(self) -> list[Callback]:
        """The callbacks, oldest first."""
        rows = self._services.store.find("delivery", Query(None))
        return [self._callback(row) for row in reversed(rows)]

    @property
    def requests(self) -> list[Entry]:
        """The requests, oldest first: what was sent and answered, and what was wrong."""
        return self._services.journal.entries()

    @property
    def now(self) -> datetime:
        """The time on the emulator's clock."""
        return self._services.clock.now()

    @property
    def url(self) -> str:
        """The base address of a real server over the same state, for clients of any kind."""
        self._check_whether_left()
        if not self._url:
            from astria_emulator.server.background import serving

            port = self._running.enter_context(serving(self._app, application=self))
            self._url = f"http://127.0.0.1:{port}"
        return self._url

    # -- control -----------------------------------------------------------------------------------
    def finish(self) -> None:
        """Complete all training and all prompts, and deliver their callbacks."""
        self._until_settled(self._services.runner.finish)

    def advance(self, *, days: float = 0, hours: float = 0, seconds: float = 0) -> datetime:
        """Move the clock, do what becomes due, and return the new time."""
        span = timedelta(days=days, hours=hours, seconds=seconds)
        self._clock.advance(span)
        self._until_settled(self._services.runner.settle)
        return self.now

    def deliver_to(self, receiver: Any) -> None:
        """Deliver callbacks to a receiver from now on; None: only record them.

        receiver: a WSGI or ASGI application, or the base of an address: http://localhost:3000.
        """
        self._outbox.receiver = None if receiver is None else receiver_of(receiver)

    def fault(self, fault: str, **rule: Any) -> None:
        """Inject a fault: `fault("gateway-timeout", operation="create_tune", nth=1)`.

        Raises SetupError with all that is wrong with the rule.
        """
        if isinstance(rule.get("nth"), int):
            rule["nth"] = [rule["nth"]]
        try:
            fault_rule = read_rule(
                {"fault": fault, **rule}, operation_names(self._app.compiler.spec)
            )
        except Invalid as error:
            raise SetupError(f"fault {fault!r}", [error.explanation]) from None
        self._services.faults.add(fault_rule)

    def scenario(self, name: str) -> None:
        """Activate the rules of a named scenario, and no others.

        Raises SetupError.
        """
        if name not in scenarios():
            raise SetupError("scenario", [unknown_scenario(name)])
        self._services.faults.set(scenarios()[name].rules)

    def reset(self) -> None:
        """Delete everything; the clock stays."""
        self._services.reset()

    # -- for the patches ---------------------------------------------------------------------------
    def serves(self, url: str) -> bool:
        """Return whether an address is the service's, by http or https."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return False
        ports = {self._base.port} if self._base.port else {None, 80, 443}
        return parts.hostname == self._base.hostname and port in ports

    @property
    def host(self) -> str:
        return self._base.hostname or ""

    def exchange(self, request: InterceptedRequest) -> InterceptedResponse:
        """Answer an intercepted request.

        Raises Lost.
        """
        return exchange(self, request, clock=self._clock)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """The WSGI application. What is due is done, with its callbacks, before it answers."""
        self._check_whether_left()
        self._until_settled(self._services.runner.settle)
        environ = {**environ, IS_LOCAL: True}
        if environ.get("HTTP_HOST") == self._base.netloc:  # with or without a socket
            environ["wsgi.url_scheme"] = self._base.scheme
        if SENT_PATIENCE in environ:
            return relay(self._app, environ, start_response, clock=self._clock)
        return self._app(environ, start_response)

    def close(self) -> None:
        """Stop the server; callbacks that were not delivered stay so."""
        self._is_left = True
        self._running.close()
        self._outbox.receiver = None

    # ----------------------------------------------------------------------------------------------
    def _check_whether_left(self) -> None:
        """Raise RuntimeError after the mock: the application may have another mock's state."""
        if self._is_left:
            raise RuntimeError("this mock_astria has been left, and answers no more")

    @property
    def _clock(self) -> VirtualClock:
        clock = self._services.clock
        assert isinstance(clock, VirtualClock)  # noqa: S101 - mock_astria sets it
        return clock

    def _until_settled(self, work: Callable[[], int]) -> None:
        """Work and call back in turn, as receivers may send new requests."""
        for _ in range(MAX_ROUNDS):
            if not work() + self._outbox.flush():
                return
        raise RuntimeError("there is no end: each callback makes work that calls back")

    def _rows(self, table: str) -> list[Row]:
        store = self._services.store
        owners = [user.id for user in store.find("user", Query(None))]
        rows = [row for owner in owners for row in store.find(table, Query(owner))]
        return sorted(rows, key=lambda row: row.id)

    def _callback(self, row: Row) -> Callback:
        names = ("at", "object", "object_id", "url", "body", "state", "status", "error", "fault")
        shown: dict[str, Any] = {name: row.get(name) for name in names}
        return Callback(row.id, **shown, _deliver=self._deliver)

    def _deliver(self, id: int, receiver: Any) -> Callback:
        row = self._services.store.get("delivery", id)
        if row is None:
            raise NotFound
        target = None if receiver is None else receiver_of(receiver)
        if target is None and self._outbox.receiver is None:
            raise TypeError("whom to? deliver(app), or deliver_to(app) before")
        with self._outbox.redirected_to(target):
            delivery = self._services.callbacks.send_now(row)
            self._outbox.flush()
        return self._callback(self._services.store.current(delivery) or delivery)
