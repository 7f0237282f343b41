"""Intercept calls of requests, by `responses`."""

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

from astria_emulator.testing.intercept.exchange import InterceptedRequest, Lost, TimedOut

if TYPE_CHECKING:
    from astria_emulator.testing.intercept.patches import Find

RESET = (104, "Connection reset by peer")
Adapter: Any = HTTPAdapter  # one of its methods is replaced, as responses does
Mocks: Any = RequestsMock


class NotAnswered(Exception):
    """A lost request. `error`: urllib3's error. `raised`: the one that requests raises."""

    def __init__(self, error: HTTPError, raised: Exception):
        super().__init__(str(raised))
        self.error, self.raised = error, raised


class EmulatorResponse(BaseResponse):
    """The response of `responses` for every request that an emulator answers."""

    def __init__(self, find: "Find"):
        super().__init__("ANY", re.compile(""))
        self._find = find

    def matches(self, request: Any) -> tuple[bool, str]:
        return self._find(request.url) is not None, ""

    def get_response(self, request: Any) -> HTTPResponse:
        """Answer a request by its emulator.

        Raises NotAnswered.
        """
        emulator = self._find(request.url)
        assert emulator is not None  # noqa: S101 - it has matched
        patience = _patience(request.req_kwargs.get("timeout"))
        body = _bytes(request.body)
        try:
            response = emulator.exchange(
                InterceptedRequest(
                    method=request.method,
                    url=request.url,
                    headers=[*request.headers.items()],
                    body=body,
                    patience=patience,
                )
            )
        except Lost as lost:
            raise _error(lost, request, patience) from None
        return HTTPResponse(
            body=io.BytesIO(response.body),
            headers=HTTPHeaderDict(response.headers),
            status=response.status,
            reason=response.reason,
            version=11,
            preload_content=False,
            request_method=request.method,
        )


class EmulatorsMock(RequestsMock):
    """A mock of `responses` that answers for the emulators."""

    def __init__(self, find: "Find"):
        super().__init__(assert_all_requests_are_fired=False)
        self._response = self.add(EmulatorResponse(find))
        self._send = self.unbound_on_send()

    def send(self, adapter: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Send a request; where the answer is lost, retry as the adapter's Retry says."""
        retries = adapter.max_retries
        while True:
            try:
                return self._send(adapter, request, *args, **kwargs)
            except NotAnswered as lost:
                try:
                    retries = retries.increment(request.method, request.url, error=lost.error)
                except MaxRetryError as error:
                    raise exceptions.ConnectionError(error, request=request) from None
                except HTTPError:
                    raise lost.raised from None
            finally:
                # `responses` keeps every body; the journal has the requests.
                self.calls.reset()
                self._response.calls.reset()


class Door:
    """Replaces `HTTPAdapter.send`, before or within the user's own mocks of `responses`.

    A request for which a user's mock has a stub is answered by that mock, whichever began first.
    When a mock ends, `responses` restores the `send` of the mock's beginning. So the door checks
    each time: it installs itself again if it was removed, and removes itself if it was restored
    after its own end.
    """

    def __init__(self) -> None:
        self._emulators: EmulatorsMock | None = None  # while it is open
        self._find: Find = lambda url: None
        self._original = Adapter.send  # what it replaces
        self._is_installed = False
        self._within: WeakSet[Any] = WeakSet()  # `send` functions of mocks that began within it

        def send(adapter: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            if emulators := self._emulators_for(request, _mock_of(self._original), kwargs):
                return emulators.send(adapter, request, *args, **kwargs)
            return self._original(adapter, request, *args, **kwargs)

        self._send = send

    def open(self, find: "Find") -> None:
        self._emulators, self._find = EmulatorsMock(find), find
        if not self._is_installed:
            self._begin, self._stop = Mocks.unbound_on_send, Mocks.stop
            Mocks.unbound_on_send, Mocks.stop = self._wrap_begin(), self._wrap_stop()
        self._settle()

    def close(self) -> None:
        self._emulators = None
        self._settle()

    def _settle(self) -> None:
        """Install or remove the replacement, as the current `send` requires."""
        current = Adapter.send
        if self._emulators and current is not self._send and current not in self._within:
            self._original, self._is_installed = current, True
            Adapter.send = self._send
        elif not self._emulators and current is self._send:
            Adapter.send = self._original
            Mocks.unbound_on_send, Mocks.stop = self._begin, self._stop
            self._is_installed = False

    def _wrap_begin(self) -> Any:
        begin, within = self._begin, self._within

        def unbound_on_send(mock: RequestsMock) -> Any:
            """Begin a user's mock: it answers only requests for which it has a stub."""
            mock_send = begin(mock)

            def send(adapter: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
                if emulators := self._emulators_for(request, mock, kwargs):
                    return emulators.send(adapter, request, *args, **kwargs)
                return mock_send(adapter, request, *args, **kwargs)

            within.add(send)
            return send

        return unbound_on_send

    def _wrap_stop(self) -> Any:
        end = self._stop

        def stop(mock: RequestsMock, *args: Any, **kwargs: Any) -> None:
            try:
                end(mock, *args, **kwargs)
            finally:
                self._settle()

        return stop

    def _emulators_for(
        self, request: Any, mock: RequestsMock | None, kwargs: Any
    ) -> EmulatorsMock | None:
        """Return what answers a request, unless a user's mock has a stub for it."""
        if self._emulators is None or self._find(request.url) is None:
            return None
        return None if mock and _has_stub(mock, request, kwargs) else self._emulators


_door = Door()  # one for the process, as is the `send` that it replaces


@contextmanager
def opened(find: "Find") -> Iterator[None]:
    """Answer calls of requests by the emulators."""
    _door.open(find)
    try:
        yield
    finally:
        _door.close()


def _mock_of(send: Any) -> RequestsMock | None:
    """Return the mock whose `unbound_on_send` returned a function, from its closure."""
    code = getattr(send, "__code__", None)
    names = code.co_freevars if code else ()
    if "self" not in names:
        return None
    mock = send.__closure__[names.index("self")].cell_contents
    return mock if isinstance(mock, RequestsMock) else None


def _has_stub(mock: RequestsMock, request: Any, kwargs: Any) -> bool:
    """Return whether a user's mock has an answer to a request."""
    stubs = [stub for stub in mock.registered() if not stub.passthrough]
    if not stubs:
        return False
    # As responses does before it calls its matchers.
    request.params = mock._parse_request_params(request.path_url)
    request.req_kwargs = kwargs
    if hasattr(request.body, "read"):
        request.body = request.body.read()
    return any(stub.matches(request)[0] for stub in stubs)


def _patience(timeout: Any) -> float | None:
    """Return the seconds to wait for an answer, from the timeout of requests."""
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
    """Return the errors of urllib3 and requests for a lost request."""
    if isinstance(lost, TimedOut):
        text = f"Read timed out. (read timeout={patience})"
        pool: Any = urlsplit(request.url).netloc  # only its name is shown
        late = ReadTimeoutError(pool, request.url, text)
        return NotAnswered(late, exceptions.ReadTimeout(late, request=request))
    broken = ProtocolError("Connection aborted.", ConnectionResetError(*RESET))
    return NotAnswered(broken, exceptions.ConnectionError(broken, request=request))
