"""Calls of requests, by `responses`."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakSet

from requests import exceptions
from requests.adapters import HTTPAdapter
from responses import BaseResponse, RequestsMock
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError, ReadTimeoutError
from urllib3.util import Timeout

from astria_emulator.testing.intercept.exchange import Asked, Lost, TimedOut

if TYPE_CHECKING:
    from astria_emulator.testing.intercept.patches import Find

RESET = (104, "Connection reset by peer")
Adapter: Any = HTTPAdapter  # of which a method is replaced, as responses itself does it
Mocks: Any = RequestsMock


class NotAnswered(Exception):
    """A request that was lost: urllib3's error, and the one of requests."""

    def __init__(self, error: HTTPError, shown: Exception):
        super().__init__(str(shown))
        self.error, self.shown = error, shown


class Emulated(BaseResponse):
    """Stands for all answers of the emulators."""

    def __init__(self, find: "Find"):
        super().__init__("ANY", re.compile(""))
        self._find = find

    def matches(self, request: Any) -> tuple[bool, str]:
        return self._find(request.url) is not None, ""

    def get_response(self, request: Any) -> HTTPResponse:
        """Raises NotAnswered."""
        emulator = self._find(request.url)
        assert emulator is not None  # noqa: S101 - it has matched
        patience = _patience(request.req_kwargs.get("timeout"))
        body = _bytes(request.body)
        try:
            answered = emulator.exchange(
                Asked(request.method, request.url, [*request.headers.items()], body, patience)
            )
        except Lost as lost:
            raise _error(lost, request, patience) from None
        return HTTPResponse(
            body=io.BytesIO(answered.body),
            headers=HTTPHeaderDict(answered.headers),
            status=answered.status,
            reason=answered.reason,
            version=11,
            preload_content=False,
            request_method=request.method,
        )


class Emulators(RequestsMock):
    """Answers for the emulators."""

    def __init__(self, find: "Find"):
        super().__init__(assert_all_requests_are_fired=False)
        self._emulated = self.add(Emulated(find))
        self._send = self.unbound_on_send()

    def send(self, adapter: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Try again as the adapter's Retry says, where an answer was lost."""
        retries = adapter.max_retries
        while True:
            try:
                return self._send(adapter, request, *args, **kwargs)
            except NotAnswered as lost:
                try:
                    retries = retries.increment(request.method, request.url, error=lost.error)
                except MaxRetryError as spent:
                    raise exceptions.ConnectionError(spent, request=request) from None
                except HTTPError:
                    raise lost.shown from None
            finally:
                # They hold on to every body; the journal has what was asked.
                self.calls.reset()
                self._emulated.calls.reset()


class Door:
    """Stands in the place of `HTTPAdapter.send`, before or within mocks of the user's own.

    Whatever those have a stub for is theirs, whichever began first. `responses` puts back what was
    there when a mock began, so the door looks after each that ends: it comes back if it was thrown
    out, and goes if it was only brought back.
    """

    def __init__(self) -> None:
        self._emulators: Emulators | None = None  # while it is open
        self._find: Find = lambda url: None
        self._before = Adapter.send  # what it stands in the place of
        self._stands = False
        self._within: WeakSet[Any] = WeakSet()  # functions of mocks that have begun within it

        def send(adapter: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            if emulators := self._asked(request, _mock_of(self._before), kwargs):
                return emulators.send(adapter, request, *args, **kwargs)
            return self._before(adapter, request, *args, **kwargs)

        self._send = send

    def open(self, find: "Find") -> None:
        self._emulators, self._find = Emulators(find), find
        if not self._stands:
            self._begin, self._stop = Mocks.unbound_on_send, Mocks.stop
            Mocks.unbound_on_send, Mocks.stop = self._begun(), self._stopped()
        self._settle()

    def close(self) -> None:
        self._emulators = None
        self._settle()

    def _settle(self) -> None:
        """Stand where it should, as things are now."""
        there = Adapter.send
        if self._emulators and there is not self._send and there not in self._within:
            self._before, self._stands = there, True
            Adapter.send = self._send
        elif not self._emulators and there is self._send:
            Adapter.send = self._before
            Mocks.unbound_on_send, Mocks.stop = self._begin, self._stop
            self._stands = False

    def _begun(self) -> Any:
        begin, within = self._begin, self._within

        def unbound_on_send(mock: RequestsMock) -> Any:
            """A mock begins within: it is asked first, and only for what it has a stub for."""
            theirs = begin(mock)

            def chosen(adapter: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
                if emulators := self._asked(request, mock, kwargs):
                    return emulators.send(adapter, request, *args, **kwargs)
                return theirs(adapter, request, *args, **kwargs)

            within.add(chosen)
            return chosen

        return unbound_on_send

    def _stopped(self) -> Any:
        end = self._stop

        def stop(mock: RequestsMock, *args: Any, **kwargs: Any) -> None:
            try:
                end(mock, *args, **kwargs)
            finally:
                self._settle()

        return stop

    def _asked(self, request: Any, mock: RequestsMock | None, kwargs: Any) -> Emulators | None:
        """Who answers a request, unless a mock of the user's own has a stub for it."""
        if self._emulators is None or self._find(request.url) is None:
            return None
        return None if mock and _has_stub(mock, request, kwargs) else self._emulators


_door = Door()  # one for the process, as what it stands in the place of is


@contextmanager
def opened(find: "Find") -> Iterator[None]:
    """Lead calls of requests to the emulators."""
    _door.open(find)
    try:
        yield
    finally:
        _door.close()


def _mock_of(send: Any) -> RequestsMock | None:
    """The mock whose `unbound_on_send` has made a function; responses tells it nowhere else."""
    code = getattr(send, "__code__", None)
    names = code.co_freevars if code else ()
    if "self" not in names:
        return None
    held = send.__closure__[names.index("self")].cell_contents
    return held if isinstance(held, RequestsMock) else None


def _has_stub(mock: RequestsMock, request: Any, kwargs: Any) -> bool:
    """Whether a mock of the user's own has an answer to a request."""
    stubs = [stub for stub in mock.registered() if not stub.passthrough]
    if not stubs:
        return False
    # As responses does, before it asks its matchers.
    request.params = mock._parse_request_params(request.path_url)
    request.req_kwargs = kwargs
    if hasattr(request.body, "read"):
        request.body = request.body.read()
    return any(stub.matches(request)[0] for stub in stubs)


def _patience(timeout: Any) -> float | None:
    """Seconds to wait for an answer, of what requests takes as its timeout."""
    if isinstance(timeout, Timeout):
        timeout = timeout.clone()
        timeout.start_connect()
        timeout = timeout.read_timeout
    elif isinstance(timeout, tuple):
        timeout = timeout[1]
    return timeout if isinstance(timeout, int | float) else None


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if hasattr(body, "read"):
        return _bytes(body.read())
    return b"".join(_bytes(part) for part in body)


def _error(lost: Lost, request: Any, patience: float | None) -> NotAnswered:
    """What requests raises for a request that was lost."""
    if isinstance(lost, TimedOut):
        text = f"Read timed out. (read timeout={patience})"
        pool: Any = urlsplit(request.url).netloc  # of which only the name is shown
        late = ReadTimeoutError(pool, request.url, text)
        return NotAnswered(late, exceptions.ReadTimeout(late, request=request))
    broken = ProtocolError("Connection aborted.", ConnectionResetError(*RESET))
    return NotAnswered(broken, exceptions.ConnectionError(broken, request=request))
