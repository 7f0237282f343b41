"""What is sent through the door, and what is fetched through it."""

import logging
import socket
import threading
from typing import Any

import pytest

from astria_emulator.outbound import door
from astria_emulator.outbound.door import FetchedFile
from tests import PATIENCE_SECONDS
from tests.outbound.raw_servers import (
    OK,
    Listen,
    Names,
    answering,
    drip,
    error_of,
    get,
    send,
)

GIGABYTE = 10**9


# -- what is sent ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("after", "path"),
    [
        ("/hook?user_id=1&x=%2F+a", "/hook?user_id=1&x=%2F+a"),
        ("/hook/{X}?q={X}&r=[]", "/hook/{X}?q={X}&r=[]"),
        ("/a//b/../c?", "/a//b/../c?"),
        ("", "/"),
        ("/", "/"),
        ("?q=1", "/?q=1"),
        ("/hook#part", "/hook"),
    ],
)
def test_path_and_query_are_sent_as_given(after: str, path: str, receiver: Any) -> None:
    assert send(receiver.url + after).status == 200
    assert receiver.received == [(path, {"a": 1})]


def test_request_is_json_and_holds_nothing_else(receiver: Any) -> None:
    send(receiver.url)
    assert receiver.headers[0] == {
        "Host": receiver.url.removeprefix("http://"),
        "Content-Type": "application/json",
        "Content-Length": "7",
        "Accept": "*/*",
    }


def test_user_name_in_a_url_is_not_part_of_the_path(receiver: Any) -> None:
    assert send(receiver.url.replace("//", "//user:secret@") + "/hook").status == 200
    assert receiver.received[0][0] == "/hook"


@pytest.mark.parametrize("host", ["h", "tp", "http"])
def test_path_is_sent_as_given_when_the_host_is_part_of_the_scheme(
    host: str, names: Names, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    names({host: ["127.0.0.1"]})
    real, port = socket.create_connection, int(receiver.url.rpartition(":")[2])
    monkeypatch.setattr(
        socket, "create_connection", lambda address, *rest: real((address[0], port), *rest)
    )
    send(f"http://{host}/hook")
    assert [path for path, _ in receiver.received] == ["/hook"]


@pytest.mark.parametrize("status", [200, 204, 404, 500])
def test_any_status_is_an_answer(status: int, receiver: Any) -> None:
    receiver.status = status
    sent = send(receiver.url)
    assert (sent.status, sent.error) == (status, None)
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_redirect_is_not_followed_and_told(
    status: int, listen: Listen, receiver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def redirect(connection: socket.socket) -> None:
        connection.recv(4096)
        location = f"Location: {receiver.url}/\r\nContent-Length: 0"
        connection.sendall(f"HTTP/1.1 {status} Moved\r\n{location}\r\n\r\n".encode())

    url = listen(redirect)
    with caplog.at_level(logging.DEBUG):
        assert send(f"{url}/hook?secret=1").status == status
    place = url.removeprefix("http://") + "/hook"
    assert caplog.messages == [f"{place!r} answered {status}: no redirect is followed"]
    message = f"answered {status}: no redirect is followed"
    assert error_of("fetch", url) == message
    assert receiver.received == []


def test_body_of_the_answer_is_not_waited_for(listen: Listen) -> None:
    gone = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        assert gone.wait(PATIENCE_SECONDS), "the other side still reads"

    sent = send(listen(answer))
    gone.set()
    assert (sent.status, sent.error) == (200, None)


# -- what is fetched -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Content-Length: 5\r\n", b"hello"),
        (b"Content-Length: 5\r\n", b"hello, and more"),
        (b"", b"hello"),
        (b"Content-Length: -1\r\n", b"hello"),
        (b"Content-Length: many\r\n", b"hello"),
        (b"Transfer-Encoding: chunked\r\n", b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX: y\r\n\r\n"),
        (b"Content-Encoding: Identity\r\n", b"hello"),
    ],
)
def test_body_is_fetched_however_its_end_is_told(
    headers: bytes, body: bytes, listen: Listen
) -> None:
    url = listen(answering(OK + b"Content-Type: image/png\r\n" + headers + b"\r\n", body))
    assert get(url) == FetchedFile("image/png", b"hello")


def test_fetch_asks_for_the_path_as_given_and_for_nothing_packed(listen: Listen) -> None:
    requests: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        requests.append(connection.recv(4096))
        connection.sendall(OK + b"\r\n")

    url = listen(answer)
    get(url.replace("//", "//user:secret@") + "/a//b/../c?x=%2F#part")
    host = url.removeprefix("http://")
    assert requests[0].decode().split("\r\n") == [
        "GET /a//b/../c?x=%2F HTTP/1.1", f"Host: {host}", "Accept: */*",
        "Accept-Encoding: identity", "User-Agent: astria-emulator", "", "",
    ]  # fmt: skip


@pytest.mark.parametrize("status", [201, 204, 206, 304, 401, 404, 500])
def test_only_200_is_fetched(status: int, listen: Listen) -> None:
    url = listen(answering(f"HTTP/1.1 {status} Some\r\nContent-Length: 5\r\n\r\nhello".encode()))
    assert error_of("fetch", url).startswith(f"answered {status}")


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"deflate", b"gzip, identity"])
def test_packed_answer_is_refused_and_not_unpacked(encoding: bytes, listen: Listen) -> None:
    url = listen(answering(OK + b"Content-Encoding: " + encoding + b"\r\n\r\n", b"\x1f\x8b"))
    assert error_of("fetch", url) == "the answer is compressed"


@pytest.mark.parametrize(
    "headers", [b"", b"Content-Length: 1000\r\n", b"Transfer-Encoding: chunked\r\n"]
)
def test_body_of_just_the_largest_size_is_fetched(headers: bytes, listen: Listen) -> None:
    chunked = b"chunked" in headers
    body = b"3e8\r\n" + b"a" * 1000 + b"\r\n0\r\n\r\n" if chunked else b"a" * 1000
    assert len(get(listen(answering(OK + headers + b"\r\n", body))).data) == 1000


@pytest.mark.parametrize(
    "begin",
    [
        b"Content-Length: 1001\r\n\r\n",
        b"Content-Length: 1000000000\r\n\r\n",
        b"\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 5, 1000000000\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3b9aca00\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nffffffffffffffffffff\r\n",
    ],
)
def test_gigabyte_is_not_read(begin: bytes, listen: Listen) -> None:
    """Whether its size is stated or not; to http.client a chunk of -1 bytes is all that comes."""
    sent = 0

    def answer(connection: socket.socket) -> None:
        nonlocal sent
        connection.recv(4096)
        connection.sendall(OK + begin)
        while sent < GIGABYTE:
            sent += connection.send(b"a" * 65536)

    message = "larger than 0.001 MB; --max-body-mb and --max-file-mb raise that"
    assert error_of("fetch", listen(answer)) == message
    assert sent < GIGABYTE / 10


@pytest.mark.parametrize(
    "answer",
    [
        b"Content-Length: 6\r\n\r\nhello",
        b"Content-Length: 6\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n6\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nfive\r\nhello",
    ],
)
def test_body_that_ends_too_early_is_not_taken(answer: bytes, listen: Listen) -> None:
    assert "the answer ends too early" in error_of("fetch", listen(answering(OK + answer)))


@pytest.mark.parametrize(
    "answer",
    [
        b"Content-Length: 900\r\n\r\n", b"\r\n", b"Transfer-Encoding: chunked\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n384\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n",
    ],
)  # fmt: skip
def test_fetch_ends_in_time_when_the_body_drips(answer: bytes, listen: Listen) -> None:
    assert error_of("fetch", listen(drip(OK + answer, b"1")), timeout=0.2) == "timed out"


@pytest.mark.parametrize("answer", [b"Content-Length: 900\r\n\r\n", b"\r\n"])
def test_body_that_comes_too_slowly_is_not_taken(
    answer: bytes, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(door, "LEAST_RATE", 1e12)
    assert "slower than 1e+12 bytes" in error_of("fetch", listen(drip(OK + answer, b"1")))
