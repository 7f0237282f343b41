"""How h11 and llhttp split bytes into requests: what a proxy in front of the server may see."""

import re
from dataclasses import dataclass, field

import h11
import httptools

Request = tuple[bytes, bytes, bytes]  # method, target, body


@dataclass
class Split:
    """Requests that are complete; whether nothing after them is read."""

    requests: list[Request] = field(default_factory=list)
    is_closed: bool = False


def split_by_h11(data: bytes) -> Split:
    found = Split()
    # It takes no empty line before a request, and no request after one by HTTP/1.0.
    while data := re.sub(rb"\A(?:\r\n)+", b"", data):
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(data)
        body = b""
        try:
            head = connection.next_event()
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    return found
                assert isinstance(event, h11.Data)
                body += event.data
        except h11.RemoteProtocolError:
            found.is_closed = True
            return found
        assert isinstance(head, h11.Request)
        found.requests.append((head.method, head.target, body))
        if connection.their_state is h11.MUST_CLOSE and not _is_kept(head):
            found.is_closed = True
            return found
        data = connection.trailing_data[0]
    return found


def _is_kept(head: h11.Request) -> bool:
    """Whether a client of HTTP/1.0 asks for the connection to be kept."""
    values = b",".join(value for name, value in head.headers if name == b"connection").lower()
    options = {option.strip() for option in values.split(b",")}
    return head.http_version == b"1.0" and options & {b"keep-alive", b"close"} == {b"keep-alive"}


class _Messages:
    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.found = Split()
        self._target, self._body = b"", b""

    def on_message_begin(self) -> None:
        self._target, self._body = b"", b""

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if not self.found.is_closed:
            request = (self.parser.get_method(), self._target, self._body)
            self.found.requests.append(request)
            self.found.is_closed = not self.parser.should_keep_alive()


def split_by_llhttp(data: bytes) -> Split:
    messages = _Messages()
    # As where no upgrade is known: llhttp would end the request with its head.
    data = re.sub(rb"(?i)\r\nupgrade:", b"\r\nx-grade:", data)
    try:
        messages.parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):  # the latter: a tunnel
        messages.found.is_closed = True
    return messages.found
