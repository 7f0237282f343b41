"""The guarded door: which addresses may be reached, what is sent, and how long it may take."""

import socket
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from emulator.outbound import Blocked, choose_addresses, post

Names = Callable[[dict[str, list[str]]], list[str]]
Listen = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Makes names resolve to addresses; returns the list of names that were looked up."""
    real = socket.getaddrinfo

    def make(table: dict[str, list[str]]) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
            if host not in table:
                return real(host, port, *args, flags=socket.AI_NUMERICHOST)
            asked.append(host)
            return [info for at in table[host] for info in real(at, port, *args, **kwargs)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return make


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Serves connections on loopback, each by a function that gets the socket."""
    servers: list[socket.socket] = []
    threads: list[threading.Thread] = []
    stopping = threading.Event()

    def start(answer: Callable[[socket.socket], None]) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            while not stopping.is_set():
                try:
                    connection, _ = server.accept()
                    with connection:
                        connection.settimeout(5)
                        answer(connection)
                except OSError:
                    continue

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield start
    stopping.set()
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
    for thread in threads:
        thread.join(5)


def send(url: str, *, timeout: float = 5, allowed: tuple[str, ...] = ()) -> Any:
    return post(url, b'{"a":1}', allowed_hosts=allowed, timeout=timeout)


# -- addresses -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.1.2.3", "::1", "10.1.2.3", "172.16.0.1", "192.168.1.2", "fd00::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    ],
)  # fmt: skip
def test_loopback_and_private_addresses_may_be_reached(address: str, names: Names) -> None:
    names({"app.test": [address]})
    [found] = choose_addresses("app.test", 80, ())
    assert ip_address(found) == ip_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "169.254.0.1", "fe80::1", "febf::1", "fd00:ec2::254", "100.100.100.200",
        "::ffff:169.254.169.254", "::ffff:100.100.100.200", "0.0.0.0", "::", "::ffff:0.0.0.0",
        "224.0.0.1", "ff02::1", "192.0.0.192", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("allowed", [(), ("*",), ("app.test",)])
def test_link_local_and_metadata_addresses_are_never_reached(
    address: str, allowed: tuple[str, ...], names: Names
) -> None:
    names({"app.test": [address]})
    with pytest.raises(Blocked, match=r"app\.test is a link-local, metadata or unroutable"):
        choose_addresses("app.test", 80, allowed)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "100.64.0.1", "64:ff9b::808:808"],
)
def test_public_address_is_reached_only_when_its_host_is_named(address: str, names: Names) -> None:
    names({"app.test": [address]})
    for allowed in (("app.test",), ("other.test", "*")):
        [found] = choose_addresses("app.test", 80, allowed)
        assert ip_address(found) == ip_address(address)
    for allowed in ((), ("other.test",), ("test",), (address,)):
        with pytest.raises(Blocked, match=r"--callback-hosts app\.test"):
            choose_addresses("app.test", 80, allowed)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1", "169.254.169.254"],
        ["169.254.169.254", "127.0.0.1"],
        ["10.0.0.1", "8.8.8.8"],
        ["8.8.8.8", "10.0.0.1"],
    ],
)
def test_name_is_blocked_when_any_of_its_addresses_is(addresses: list[str], names: Names) -> None:
    names({"app.test": addresses})
    with pytest.raises(Blocked):
        choose_addresses("app.test", 80, ())


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1"])
def test_other_spellings_of_loopback_are_loopback(host: str) -> None:
    assert choose_addresses(host, 80, ()) == ["127.0.0.1"]


@pytest.mark.parametrize(
    "host", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.16689662"]
)
def test_other_spellings_of_the_metadata_address_are_blocked(host: str) -> None:
    with pytest.raises(Blocked):
        choose_addresses(host, 80, ("*",))


def test_addresses_are_given_once_each_in_the_order_to_try_them(names: Names) -> None:
    names({"app.test": ["::1", "127.0.0.1", "::1"]})
    assert choose_addresses("app.test", 80, ()) == ["::1", "127.0.0.1"]


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
    asked = names({"app.test": ["127.0.0.1"]})
    sent = send(receiver.url.replace("127.0.0.1", "app.test") + "/hook")
    assert (sent.status, sent.error, asked) == (200, None, ["app.test"])
    assert receiver.headers[0]["Host"].startswith("app.test:")


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


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_not_followed(status: int, listen: Listen, receiver: Any) -> None:
    def redirect(connection: socket.socket) -> None:
        connection.recv(4096)
        location = f"Location: {receiver.url}/\r\nContent-Length: 0"
        connection.sendall(f"HTTP/1.1 {status} Moved\r\n{location}\r\n\r\n".encode())

    assert send(listen(redirect)).status == status
    assert receiver.received == []


def test_body_of_the_answer_is_not_waited_for(listen: Listen) -> None:
    gone = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        gone.wait(5)

    sent = send(listen(answer))
    gone.set()
    assert (sent.status, sent.error) == (200, None)


# -- what goes wrong -----------------------------------------------------------------------------
def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def slow(pause: Callable[[], object], text: bytes) -> Callable[[socket.socket], None]:
    """Begin an answer and send the rest of it byte by byte, for ever."""

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 ")
        while True:
            for byte in text:
                pause()
                connection.sendall(bytes([byte]))

    return answer


def test_request_ends_in_time_when_nothing_is_answered(listen: Listen) -> None:
    sent = send(listen(silent), timeout=0.2)
    assert (sent.status, sent.error) == (None, "timed out")
    assert 0.2 <= sent.seconds < 2


@pytest.mark.parametrize(
    "text", [b"2", b"100 Continue\r\n\r\nHTTP/1.1 ", b"200 OK\r\nX-A: b\r\n" + b"b" * 9]
)
def test_request_ends_in_time_when_the_answer_is_slow_and_endless(
    text: bytes, listen: Listen
) -> None:
    tick = threading.Event()
    sent = send(listen(slow(lambda: tick.wait(0.01), text)), timeout=0.2)
    assert sent.seconds < 2


def test_request_ends_in_time_when_the_answer_never_gets_to_its_status(listen: Listen) -> None:
    tick = threading.Event()
    sent = send(listen(slow(lambda: tick.wait(0.01), b"2")), timeout=0.2)
    assert (sent.status, sent.error) == (None, "timed out")


def test_refused_connection_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    sent = send(f"http://127.0.0.1:{port}/")
    assert sent.status is None
    assert sent.error.startswith("ConnectionRefusedError: ")


def test_answer_that_is_not_http_is_an_error(listen: Listen) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

    assert send(listen(answer)).error == "BadStatusLine"


def test_connection_that_is_closed_without_an_answer_is_an_error(listen: Listen) -> None:
    sent = send(listen(lambda connection: None))
    assert sent.status is None
    assert "timed out" not in sent.error


def test_https_to_a_server_without_it_is_an_error(listen: Listen) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    assert send(listen(answer).replace("http:", "https:")).error.startswith("SSLError: ")


@pytest.mark.parametrize(
    "url",
    [
        "http://", "http://[::1", "http://127.0.0.1:99999/", "http://127.0.0.1:port/",
        "http://a b/", "http://" + "a" * 70 + ".test/", "http://a\0b/", "http://\ud800/",
        "http://a..b/", "https://",
    ],
)  # fmt: skip
def test_url_that_leads_nowhere_is_an_error(url: str, names: Names) -> None:
    names({})
    sent = send(url)
    assert sent.status is None
    assert sent.error


@pytest.mark.parametrize("path", ["/a b", "/\u00e9", "/a\r\nX: y", "/\x7f"])
def test_path_that_cannot_be_sent_is_an_error(path: str, receiver: Any) -> None:
    sent = send(receiver.url + path)
    assert sent.status is None
    assert sent.error
    assert receiver.received == []


def test_error_does_not_show_the_query(receiver: Any) -> None:
    assert "secret" not in send(receiver.url + "/hook?key=my secret").error
