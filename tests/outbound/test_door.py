"""The guarded door: what is sent, what is fetched, and how long and large it may be."""

import logging
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from astria_emulator.outbound.door import Failed, FetchedFile, fetch, host_and_path, post
from tests import PATIENCE_SECONDS

Names = Callable[[dict[str, list[str]]], list[str]]
Listen = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Serves connections on loopback, each by a function that gets the socket."""
    servers: list[socket.socket] = []
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []
    stopping = threading.Event()

    def start(answer: Callable[[socket.socket], None]) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            while not stopping.is_set():
                try:
                    connection, _ = server.accept()
                    connections.append(connection)
                    with connection:
                        connection.settimeout(PATIENCE_SECONDS)
                        answer(connection)
                except TimeoutError:  # an error of the test: the other side never hung up
                    raise
                except OSError:
                    continue

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield start
    stopping.set()
    for connection in connections:  # who no longer reads does not always say so
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)


OK = b"HTTP/1.1 200 OK\r\n"
GIGABYTE = 10**9
DOORS = ("post", "fetch")


def answering(*pieces: bytes) -> Callable[[socket.socket], None]:
    """Answer each request with the same bytes, and close."""

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        for piece in pieces:
            connection.sendall(piece)

    return answer


def get(
    url: str,
    *,
    timeout: float = PATIENCE_SECONDS,
    allowed: tuple[str, ...] = (),
    max_bytes: int = 1000,
) -> Any:
    return fetch(url, allowed_hosts=allowed, timeout=timeout, max_bytes=max_bytes)


def error_of(door: str, url: str, **more: Any) -> str:
    """Why nothing came of it, through one of the two doors."""
    if door == "post":
        return str(send(url, **more).error)
    with pytest.raises(Failed) as failed:
        get(url, **more)
    return str(failed.value)


def send(url: str, *, timeout: float = PATIENCE_SECONDS, allowed: tuple[str, ...] = ()) -> Any:
    return post(url, b'{"a":1}', allowed_hosts=allowed, timeout=timeout)


# -- where it is sent ----------------------------------------------------------------------------
def test_name_that_does_not_resolve_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert send("http://app.test/").error == "blocked: app.test does not resolve"


def test_next_address_is_tried_when_nobody_listens_on_the_first(
    names: Names, receiver: Any
) -> None:
    names({"app.test": ["127.0.0.2", "127.0.0.1"]})
    assert send(receiver.url.replace("127.0.0.1", "app.test")).status == 200


def test_blocked_request_tells_why_and_is_not_sent(names: Names, receiver: Any) -> None:
    names({"app.test": ["8.8.8.8"]})
    port = receiver.url.rpartition(":")[2]
    sent = send(f"http://app.test:{port}/hook")
    assert sent.status is None
    assert sent.error == "blocked: app.test is public; --callback-hosts app.test lets it through"
    assert receiver.received == []


def test_address_that_was_checked_is_the_one_that_is_connected_to(
    names: Names, receiver: Any
) -> None:
    looked_up = names({"app.test": ["127.0.0.1"]})
    sent = send(receiver.url.replace("127.0.0.1", "app.test") + "/hook")
    assert (sent.status, sent.error, looked_up) == (200, None, ["app.test"])
    assert receiver.headers[0]["Host"].startswith("app.test:")


def test_name_that_is_bound_anew_is_not_looked_up_again(
    receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is checked and connected to, whatever a second one would say."""
    real, answers = socket.getaddrinfo, ["127.0.0.1", "169.254.169.254", "169.254.169.254"]

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        at = answers.pop(0) if host == "app.test" else host
        return real(at, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    url = receiver.url.replace("127.0.0.1", "app.test")
    assert send(url).status == 200
    assert error_of("post", url) == (
        "blocked: app.test is a link-local, metadata or unroutable address"
    )
    assert len(receiver.received) == 1


@pytest.mark.parametrize("door", DOORS)
def test_block_names_the_flag_that_lifts_it(door: str, names: Names) -> None:
    names({"app.test": ["8.8.8.8"]})
    flag = {"post": "--callback-hosts", "fetch": "--fetch-hosts"}[door]
    message = f"blocked: app.test is public; {flag} app.test lets it through"
    assert error_of(door, "http://app.test/") == message


@pytest.mark.parametrize("door", DOORS)
def test_metadata_address_is_blocked_for_every_kind_of_request(door: str) -> None:
    for host in ("169.254.169.254", "[::ffff:169.254.169.254]", "2852039166", "x@169.254.169.254"):
        assert "link-local" in error_of(door, f"http://{host}/latest/", allowed=("*",))


@pytest.mark.parametrize("door", DOORS)
def test_name_that_is_looked_up_for_ever_ends_in_time(
    door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *args, **kwargs: [ended.wait(PATIENCE_SECONDS)]
    )
    assert error_of(door, "http://app.test/", timeout=0.05) == "timed out"
    ended.set()


def test_many_addresses_that_do_not_answer_end_in_time(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts: list[float] = []

    def create_connection(address: tuple[str, int], timeout: float) -> Any:
        timeouts.append(timeout)
        raise TimeoutError

    names({"app.test": [f"127.0.0.{at}" for at in range(1, 60)]})
    now = iter([0.0, *(float(at) for at in range(200))])  # each try takes a second
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    monkeypatch.setattr(socket, "create_connection", create_connection)
    assert error_of("post", "http://app.test/", timeout=10) == "timed out"
    assert max(timeouts) <= 10
    assert all(seconds < 0.1 for seconds in timeouts[12:])


@pytest.mark.parametrize("door", DOORS)
def test_proxy_of_the_environment_is_not_asked(
    door: str, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[bytes] = []
    proxy = listen(lambda connection: requests.append(connection.recv(4096)))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy)
        monkeypatch.setenv(name.upper(), proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    url = listen(answering(OK + b"Content-Length: 0\r\n\r\n"))
    assert send(url).status == 200 if door == "post" else get(url).data == b""
    assert requests == []


# -- what is sent --------------------------------------------------------------------------------
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


# -- what is fetched -----------------------------------------------------------------------------
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


# -- what goes wrong -----------------------------------------------------------------------------
PACE_SECONDS = 0.05  # so slow that no limit of size is reached before the patience has ended


def drip(*texts: bytes) -> Callable[[socket.socket], None]:
    """Send a first text, and then the second one byte by byte, until the other side hangs up.

    Raises AssertionError, in the thread that serves, where it never does.
    """

    def answer(connection: socket.socket) -> None:
        tick = threading.Event()
        connection.recv(4096)
        connection.sendall(texts[0])
        for byte in islice(cycle(texts[1]), round(PATIENCE_SECONDS / PACE_SECONDS)):
            tick.wait(PACE_SECONDS)
            connection.sendall(bytes([byte]))
        raise AssertionError("the other side still listens")

    return answer


def pour(first: bytes, text: bytes) -> Callable[[socket.socket], None]:
    """Send a first text, and then the second one as fast as can be, for ever."""

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(first)
        while True:
            connection.sendall(text * 100)

    return answer


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def hang_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):  # what is left unread would reset it
        pass


def reset(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# The misdeed of the other side -> how it acts, the scheme, and the error that is reported.
MISDEEDS: dict[str, tuple[Callable[[socket.socket], None], str, str]] = {
    "says nothing": (silent, "http", "timed out"),
    "drips its status": (drip(b"HTTP/1.1 ", b"2"), "http", "timed out"),
    "drips interim answers": (drip(b"", CONTINUE), "http", "timed out"),
    "drips a header": (drip(OK + b"X: ", b"y"), "http", "timed out"),
    "drips headers": (drip(OK, b"X: " + b"y" * 200 + b"\r\n"), "http", "timed out"),
    "pours interim answers": (pour(b"", CONTINUE), "http", "timed out"),
    "pours a header": (
        pour(OK + b"X: ", b"y" * 1000),
        "http",
        "LineTooLong: a line of the answer is too long",
    ),
    "pours its status": (
        pour(b"HTTP/1.1 200 ", b"K" * 1000),
        "http",
        "LineTooLong: a line of the answer is too long",
    ),
    "pours headers": (
        pour(OK, b"X: y\r\n"),
        "http",
        "HTTPException: the answer has too many headers",
    ),
    "says nothing of TLS": (silent, "https", "timed out"),
    "drips a handshake": (drip(b"\x16\x03\x03\x40\x00", b"\x02"), "https", "timed out"),
    "speaks no TLS": (answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "https", "SSLError: "),
    "speaks no HTTP": (
        answering(b"SSH-2.0-OpenSSH_9.6\r\n"),
        "http",
        "BadStatusLine: the answer is not HTTP",
    ),
    "has no number": (answering(b"HTTP/1.1 OK\r\n\r\n"), "http", "BadStatusLine: "),
    "speaks HTTP/2": (answering(b"HTTP/2 200\r\n\r\n"), "http", "UnknownProtocol: "),
    "hangs up": (hang_up, "http", "RemoteDisconnected: closed without an answer"),
    "resets": (reset, "http", "ConnectionResetError: "),
    "hangs up within TLS": (lambda connection: None, "https", ""),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("misdeed", MISDEEDS)
def test_request_ends_in_time_with_an_error_when_the_other_side(
    misdeed: str, door: str, listen: Listen
) -> None:
    act, scheme, message = MISDEEDS[misdeed]
    timeout = 0.2 if message == "timed out" else PATIENCE_SECONDS
    error = error_of(door, listen(act).replace("http:", f"{scheme}:"), timeout=timeout)
    assert error
    assert error.startswith(message)
    assert (error == "timed out") is (message == "timed out")


def test_request_takes_its_time_before_it_is_late(listen: Listen) -> None:
    sent = send(listen(silent), timeout=0.2)
    assert (sent.status, sent.error) == (None, "timed out")
    assert sent.seconds >= 0.2


def test_first_of_two_addresses_has_all_the_time(
    names: Names, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer on localhost's first address is waited for as long as on its last."""
    real, made = socket.create_connection, []

    def create_connection(*args: Any) -> socket.socket:
        made.append(real(*args))
        return made[-1]

    names({"app.test": ["127.0.0.1", "127.0.0.2"]})
    monkeypatch.setattr(socket, "create_connection", create_connection)
    url = receiver.url.replace("127.0.0.1", "app.test")
    assert send(url, timeout=PATIENCE_SECONDS).status == 200
    half, whole = PATIENCE_SECONDS / 2, PATIENCE_SECONDS
    assert [half < sock.gettimeout() <= whole for sock in made] == [True]


def test_body_that_is_not_read_by_the_other_side_ends_in_time(listen: Listen) -> None:
    ended = threading.Event()

    def read_nothing(connection: socket.socket) -> None:
        assert ended.wait(PATIENCE_SECONDS), "the other side still sends"

    sent = post(listen(read_nothing), b"a" * 50_000_000, allowed_hosts=(), timeout=0.2)
    ended.set()
    assert (sent.status, sent.error) == (None, "timed out")


@pytest.mark.parametrize("door", DOORS)
def test_refused_connection_is_an_error(door: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert error_of(door, f"http://127.0.0.1:{port}/").startswith("ConnectionRefusedError: ")


@pytest.mark.skipif(not shutil.which("openssl"), reason="a certificate is made by openssl")
@pytest.mark.parametrize("door", DOORS)
def test_certificate_that_nobody_vouches_for_is_an_error(
    door: str, listen: Listen, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = (
        "openssl req -x509 -nodes -days 1 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=a"
    )
    command = [*make.split(), "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def answer(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True).recv(4096)

    error = error_of(door, listen(answer).replace("http:", "https:"))
    assert error.startswith("SSLCertVerificationError: ")


# url -> the error, after "blocked: "
NOWHERE = {
    "http://": "names no host",
    "https://": "names no host",
    "http:///path": "names no host",
    "http://:80/": "names no host",
    "http://user:pass@/": "names no host",
    "http://user@:80/": "names no host",
    "http:app.test": "names no host",
    "http://127.0.0.1:0/": "port 0",
    "http://127.0.0.1:00/": "port 0",
    "http://127.0.0.1:65536/": "cannot be read",
    "http://127.0.0.1:99999999999999999999/": "cannot be read",
    "http://127.0.0.1:-1/": "cannot be read",
    "http://127.0.0.1:+80/": "cannot be read",
    "http://127.0.0.1:8_0/": "cannot be read",
    "http://127.0.0.1:0x50/": "cannot be read",
    "http://127.0.0.1:port/": "cannot be read",
    "http://127.0.0.1:80:80/": "cannot be read",
    "http://[::1": "cannot be read",
    "http://::1/": "cannot be read",
    "http://[::1]x/": "cannot be read",
    "http://[v1.a]/": "cannot be read",
    "http://[127.0.0.1]/": "",
    "http://[]/": "",
    "ftp://127.0.0.1/": "begins with other than http",
    "file:///etc/passwd": "begins with other than http",
    "gopher://127.0.0.1:70/_x": "begins with other than http",
    "data:text/plain,a": "begins with other than http",
    "unix:/run/docker.sock": "begins with other than http",
    "http+unix://127.0.0.1/": "begins with other than http",
    "//127.0.0.1/": "begins with other than http",
    "127.0.0.1/": "begins with other than http",
    "": "other than ASCII characters, or a blank",
    "http://a b/": "or a blank",
    " http://127.0.0.1/": "or a blank",
    "http://127.0.0.1/a b": "or a blank",
    "http://127.0.0.1/a\tb": "or a blank",
    "http://127.0.0.1/a\r\nX: y": "or a blank",
    "http://127.0.0.1:80\n80/x": "or a blank",
    "http://127.0.0.1/?a\nb": "or a blank",
    "http://127.0.0.1/\n": "or a blank",
    "http://127.0.0.1/\x7f": "or a blank",
    "http://a\0b/": "or a blank",
    "http://\ud800/": "other than ASCII",
    "http://127.0.0.1/\u00e9": "other than ASCII",
    "http://\uff11\uff12\uff17.0.0.1/": "other than ASCII",
    "http://127.0.0.1:\u0668\u0660/": "other than ASCII",
    "http://127\u30020.0.1/": "other than ASCII",
    "http://" + "a" * 70 + ".test/": "does not resolve",
    "http://a..b/": "does not resolve",
    "http://app.test\\@127.0.0.1/": "cannot be read",
    "http://127.0.0.1\\a/": "cannot be read",
    "http://[fe80::1%25lo]/": "cannot be read",
    "http://[fe80::1%lo]/": "cannot be read",
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("url", NOWHERE, ids=ascii)
def test_url_that_leads_nowhere_is_blocked(
    url: str, door: str, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[Any] = []
    names({})
    monkeypatch.setattr(socket, "create_connection", lambda *args: connections.append(args))
    error = error_of(door, url, allowed=("*",))
    assert error.startswith("blocked: ")
    assert NOWHERE[url] in error
    assert connections == []


@pytest.mark.parametrize("path", ["/a b", "/\u00e9", "/a\r\nX: y", "/\x7f"])
def test_path_that_cannot_be_sent_is_an_error(path: str, receiver: Any) -> None:
    sent = send(receiver.url + path)
    assert sent.status is None
    assert sent.error
    assert receiver.received == []


def test_error_does_not_show_the_query(receiver: Any) -> None:
    assert "secret" not in send(receiver.url + "/hook?key=my secret").error


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://app.test/a/b", "app.test/a/b"),
        ("https://App.test:8080/a?secret=1", "App.test:8080/a"),
        ("http://app.test?secret", "app.test/"),
        ("http://app.test/a#secret", "app.test/a"),
        ("http://app.test/a?b c\u00e9\n", "app.test/a"),
        ("http://user:secret@app.test/", "app.test/"),
        ("http://secret:x@y@app.test/", "app.test/"),
        ("http://user:secr?t@app.test/", "an address that cannot be read"),
        ("http://user:secr/t@app.test/", "an address that cannot be read"),
        ("http://app.test/a\nb", "an address that cannot be read"),
        ("ftp://secret", "an address that cannot be read"),
        ("http://app.test/" + "a" * 1000, "app.test/" + "a" * 191 + "..."),
    ],
)
def test_place_of_an_address_holds_no_secret(url: str, place: str) -> None:
    assert host_and_path(url) == place
