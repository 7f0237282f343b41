"""No client of this process reaches the real service, or any other host where that is asked."""

import asyncio
import http.client
import os
import socket
import urllib.request
from contextlib import closing

import anyio
import pytest
import requests
import urllib3

from astria_emulator import mock_astria
from astria_emulator.testing.intercept.guard import Refused, guarded
from tests.testing.intercept.clients import HEADERS, TUNE, URL

HOST = "api.astria.ai"


def by_urllib() -> None:
    urllib.request.urlopen(f"{URL}/tunes")


def by_http_client() -> None:
    http.client.HTTPSConnection(HOST).request("GET", "/tunes")


def by_urllib3() -> None:
    with urllib3.PoolManager() as pool:
        pool.request("GET", f"{URL}/tunes", retries=3)


def by_a_socket() -> None:
    socket.create_connection((HOST, 443))


def by_a_socket_that_looks_up_itself() -> None:
    with socket.socket() as made:
        made.connect((HOST, 443))


def by_a_socket_that_tells_no_error() -> None:
    with socket.socket() as made:
        made.connect_ex((HOST, 443))


def by_a_datagram() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as made:
        made.sendto(b"", (HOST, 443))


def by_a_proxy_that_looks_up() -> None:
    with urllib3.ProxyManager("http://127.0.0.1:9") as pool:
        pool.request("GET", f"{URL}/tunes", retries=3)


def by_a_proxy_for_plain_http() -> None:
    with urllib3.ProxyManager("http://127.0.0.1:9") as pool:
        pool.request("GET", f"http://{HOST}/tunes", retries=False)


def by_anyio() -> None:
    anyio.run(anyio.connect_tcp, HOST, 443)


def by_an_adapter_of_its_own() -> None:
    class Adapter(requests.adapters.BaseAdapter):
        def send(self, request: requests.PreparedRequest, **more: object) -> requests.Response:
            urllib.request.urlopen(request.url)
            return requests.Response()

        def close(self) -> None: ...

    with requests.Session() as session:
        session.mount("https://", Adapter())
        session.get(f"{URL}/tunes")


def by_asyncio() -> None:
    asyncio.run(asyncio.open_connection(HOST, 443))


def by_name() -> None:
    socket.gethostbyname(HOST)


def by_name_in_full() -> None:
    socket.gethostbyname_ex(f"{HOST.upper()}.")


def by_bytes() -> None:
    socket.getaddrinfo(HOST.encode(), 443)


def by_the_web_site() -> None:
    urllib.request.urlopen("https://www.astria.ai/")


WAYS = [
    by_urllib, by_http_client, by_urllib3, by_a_socket, by_a_socket_that_looks_up_itself,
    by_a_socket_that_tells_no_error, by_a_datagram, by_a_proxy_that_looks_up,
    by_a_proxy_for_plain_http, by_anyio, by_an_adapter_of_its_own, by_asyncio, by_name,
    by_name_in_full, by_bytes, by_the_web_site,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_client_that_is_not_intercepted_is_refused_and_told_what_to_do(astria, way):
    with pytest.raises(Refused, match=r"astria\.url"):
        way()


def test_connection_that_was_open_before_is_refused_too(serve, make_app):
    port = int(serve(make_app()).rpartition(":")[2])
    connection = http.client.HTTPConnection(HOST)
    made = socket.create_connection(("127.0.0.1", port))
    with closing(made) as connection.sock, mock_astria(), pytest.raises(Refused, match=HOST):
        connection.request("GET", "/tunes")


def test_such_a_client_is_served_at_the_url(astria):
    asked = urllib.request.Request(f"{astria.url}/gallery/tunes", headers=HEADERS)
    with urllib.request.urlopen(asked) as got:
        assert got.status == 200
    assert [entry.operation for entry in astria.requests] == ["list_gallery_tunes"]


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY"])
def test_proxy_is_not_asked(monkeypatch, name):
    monkeypatch.setenv(name, "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "intern.example")
    with mock_astria(), pytest.raises(Refused, match=HOST):
        by_urllib()
    assert os.environ["no_proxy"] == "intern.example"


def test_proxy_is_not_asked_for_another_base_address_either(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    other = mock_astria(base_url="https://astria.staging.example")
    with mock_astria(), other, pytest.raises(Refused, match="staging"):
        urllib.request.urlopen("https://astria.staging.example/tunes")
    assert "NO_PROXY" not in os.environ


def test_loopback_is_never_refused(serve, make_app):
    url = serve(make_app())
    with mock_astria(other_hosts="refuse"):
        assert requests.get(f"{url}/_emulator/health").status_code == 200
        assert requests.get(f"{url.replace('127.0.0.1', 'localhost')}/_emulator/health").ok


@pytest.mark.parametrize("url", ["https://other.example/", "http://192.0.2.1/"])
def test_other_hosts_are_refused_when_asked(url):
    with mock_astria(other_hosts="refuse"):
        assert requests.post(f"{URL}/tunes", json=TUNE, headers=HEADERS).status_code == 201
        with pytest.raises(Refused, match="other_hosts='refuse'"):
            requests.get(url)


def by_an_address() -> None:
    with socket.socket() as made:
        made.connect(("192.0.2.1", 80))


def by_an_address_and_asyncio() -> None:
    asyncio.run(asyncio.open_connection("192.0.2.1", 80))


@pytest.mark.parametrize("way", [by_an_address, by_an_address_and_asyncio])
def test_addresses_are_refused_when_asked(way):
    with mock_astria(other_hosts="refuse"), pytest.raises(Refused, match="other_hosts='refuse'"):
        way()


def test_sockets_that_stay_on_the_machine_are_not_refused(tmp_path):
    with (
        mock_astria(other_hosts="refuse"),
        socket.socket(socket.AF_UNIX) as server,
        socket.socket(socket.AF_UNIX) as client,
    ):
        server.bind(str(tmp_path / "socket"))
        server.listen()
        client.connect(str(tmp_path / "socket"))
        for name in ("0.0.0.0", "::1", "127.0.0.2", "a.localhost", "::ffff:127.0.0.1", None):
            guarded.check(name)


def test_other_hosts_pass_by_default(astria, monkeypatch):
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get("http://nobody.invalid/")


def test_nothing_is_refused_afterwards():
    def places() -> list[object]:
        owners = (socket, socket.socket, http.client.HTTPConnection)
        return [*map(dict, map(vars, owners)), dict(os.environ)]

    before = places()
    with mock_astria():
        assert all(one != other for one, other in zip(places(), before, strict=True))
    assert places() == before


def test_other_base_address_is_guarded_and_the_service_too():
    with mock_astria(base_url="https://astria.staging.example") as astria:
        got = requests.get("https://astria.staging.example/tunes", headers=HEADERS)
        assert got.json() == []
        with pytest.raises(Refused):
            requests.get(f"{URL}/tunes")
    assert len(astria.requests) == 1
