"""The guarded door: what is sent, what is fetched, and how long and large it may be."""

import socket
import threading
import time
from typing import Any

import pytest

from tests import PATIENCE_SECONDS
from tests.outbound.raw_servers import DOORS, OK, Listen, Names, answering, error_of, get, send


# -- where it is sent ------------------------------------------------------------------------------
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
