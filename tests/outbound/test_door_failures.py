"""What goes wrong at the door is told, and holds up nobody."""

import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from astria_emulator.outbound.door import host_and_path, post
from tests import PATIENCE_SECONDS
from tests.outbound.raw_servers import DOORS, OK, Listen, Names, answering, drip, error_of, send


# -- what goes wrong -------------------------------------------------------------------------------
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
