"""Which addresses may be reached, however they are spelled, and whatever a name resolves to."""

import socket
import threading
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from astria_emulator.outbound import addresses
from astria_emulator.outbound.addresses import Blocked
from tests import PATIENCE_SECONDS

Names = Callable[[dict[str, list[str]]], list[str]]


def choose(host: str, allowed: tuple[str, ...] = (), *, seconds: float = 5) -> list[str]:
    flag = "--callback-hosts"
    return addresses.choose_addresses(host, 80, allowed, flag=flag, seconds=seconds)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.1.2.3", "127.255.255.255", "::1", "10.1.2.3", "172.16.0.1",
        "172.31.255.255", "192.168.1.2", "fc00::1", "fd00::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::a00:1",
    ],
)  # fmt: skip
def test_loopback_and_private_addresses_may_be_reached(address: str, names: Names) -> None:
    names({"app.test": [address]})
    [found] = choose("app.test")
    assert ip_address(found) == ip_address(address)


@pytest.mark.parametrize(
    "address",
    [
        # where clouds tell a machine its credentials
        "169.254.169.254", "169.254.170.2", "169.254.0.23", "169.254.42.42", "fd00:ec2::254",
        "fd00:ec2::23", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42", "fe80::a9fe:a9fe",
        "100.100.100.200", "192.0.0.192", "168.63.129.16",
        # link-local, with and without a zone
        "169.254.0.1", "fe80::1", "febf::1", "fe80::1%1", "fe80::1%lo",
        # an IPv4 address within an IPv6 one
        "::ffff:169.254.169.254", "::ffff:100.100.100.200", "::169.254.169.254",
        "::ffff:0:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::1", "2001:0:808:808:0:0:5601:5601",
        # nobody in particular
        "0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0", "224.0.0.1", "ff02::1", "ff02::1%1",
        "255.255.255.255", "240.0.0.1", "::ffff:255.255.255.255",
    ],
)  # fmt: skip
@pytest.mark.parametrize("allowed", [(), ("*",), ("app.test",)])
def test_link_local_and_metadata_addresses_are_never_reached(
    address: str, allowed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a resolver may answer on any machine, also where there is no such interface.
    answer = [(socket.AF_UNSPEC, socket.SOCK_STREAM, 6, "", (address, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: answer)
    with pytest.raises(Blocked, match=r"app\.test is a link-local, metadata or unroutable"):
        choose("app.test", allowed)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
        "172.15.0.1", "172.32.0.1", "192.167.1.1", "11.0.0.1", "fec0::1",
        # shared with others, for tests and for examples: not ours
        "100.64.0.1", "198.18.0.1", "192.0.2.1", "203.0.113.1", "2001:db8::1",
    ],
)  # fmt: skip
def test_public_address_is_reached_only_when_its_host_is_named(address: str, names: Names) -> None:
    names({"app.test": [address]})
    for allowed in (("app.test",), ("other.test", "*"), ("App.TEST",), ("app.test.",)):
        [found] = choose("app.test", allowed)
        assert ip_address(found) == ip_address(address)
    for allowed in ((), ("other.test",), ("test",), (".test",), ("*.test",), (address,)):
        with pytest.raises(Blocked, match=r"app\.test is public; --callback-hosts app\.test lets"):
            choose("app.test", allowed)


@pytest.mark.parametrize("host", ["app.test.", "APP.test", "App.Test."])
def test_host_is_named_whatever_its_case_and_last_dot(host: str, names: Names) -> None:
    names({host: ["8.8.8.8"]})
    assert choose(host, ("app.test",)) == ["8.8.8.8"]
    with pytest.raises(Blocked, match=r"is public; --callback-hosts app\.test lets it through"):
        choose(host)


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1", "169.254.169.254"],
        ["169.254.169.254", "127.0.0.1"],
        ["::1", "fe80::1", "127.0.0.1"],
        ["10.0.0.1", "8.8.8.8"],
        ["8.8.8.8", "10.0.0.1"],
    ],
)
def test_name_is_blocked_when_any_of_its_addresses_is(found: list[str], names: Names) -> None:
    names({"app.test": found})
    with pytest.raises(Blocked):
        choose("app.test")


def test_named_host_is_blocked_when_any_of_its_addresses_is_never_reached(names: Names) -> None:
    names({"app.test": ["8.8.8.8", "169.254.169.254"]})
    with pytest.raises(Blocked, match="link-local"):
        choose("app.test", ("*", "app.test"))


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "0x7F000001", "017700000001", "0177.0.0.1", "127.1", "0x7f.1"],
)
def test_other_spellings_of_loopback_are_loopback(host: str, names: Names) -> None:
    names({})
    assert choose(host) == ["127.0.0.1"]


@pytest.mark.parametrize(
    "host",
    [
        "2852039166", "0xa9fea9fe", "0XA9FEA9FE", "025177524776", "0251.0376.0251.0376",
        "0xa9.0xfe.0xa9.0xfe", "169.16689662", "169.254.43518", "0251.254.0xa9.254",
        "::ffff:a9fe:a9fe", "0:0:0:0:0:ffff:169.254.169.254", "fe80::1%25lo",
        # fullwidth and superscript digits, an ideographic full stop
        "\uff11\uff16\uff19.254.169.254", "169.254.169.25\u2074", "169\u3002254\u3002169\u3002254",
    ],
)  # fmt: skip
def test_other_spellings_of_the_metadata_address_are_blocked(host: str, names: Names) -> None:
    names({})
    with pytest.raises(Blocked):
        choose(host, ("*",))


def test_addresses_are_given_once_each_in_the_order_to_try_them(names: Names) -> None:
    names({"app.test": ["::1", "127.0.0.1", "::1"]})
    assert choose("app.test") == ["::1", "127.0.0.1"]


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long")])
def test_name_that_does_not_resolve_is_blocked(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(Blocked, match=r"app\.test does not resolve"):
        choose("app.test")


def test_looking_up_a_name_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
        ended.wait(PATIENCE_SECONDS)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(TimeoutError):
        choose("app.test", seconds=0.05)
    ended.set()
