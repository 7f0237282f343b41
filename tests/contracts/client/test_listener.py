"""What the suite's own server notes of callbacks."""

import socket
import threading

import pytest
import requests

from astria_contracts.client.listener import listening


@pytest.fixture
def listener():
    with listening() as found:
        yield found


def test_call_is_noted_with_its_body_and_headers(listener):
    sent = requests.post(listener.url("a?token=%20x"), json={"id": 5}, headers={"X-One": "1"})
    assert sent.status_code == 200
    (got,) = listener.calls("a")
    assert (got.method, got.path, got.body) == ("POST", "/a?token=%20x", {"id": 5})
    assert got.headers["x-one"] == "1"
    assert got.headers["content-type"] == "application/json"


def test_body_that_is_no_json_is_kept_as_it_is(listener):
    requests.post(listener.url("a"), data=b"\xff{")
    assert [one.body for one in listener.calls("a")] == [b"\xff{"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
def test_call_with_another_method_is_noted_as_well(listener, method):
    requests.request(method, listener.url("a"))
    assert [one.method for one in listener.calls("a")] == [method]


def test_calls_are_told_apart_by_their_place(listener):
    for place in ("a", "b", "a?x=1", "a/b"):
        requests.post(listener.url(place), json=place)
    assert [one.body for one in listener.calls("a?y=2")] == ["a", "a?x=1"]
    assert listener.calls("c") == []


def test_status_is_answered_where_it_is_asked_for(listener):
    listener.statuses["late"] = 503
    listener.statuses["moved"] = 302
    listener.redirect = listener.url("elsewhere")
    assert requests.post(listener.url("late/1")).status_code == 503
    assert requests.post(listener.url("other")).status_code == 200
    moved = requests.post(listener.url("moved"), allow_redirects=False)
    assert (moved.status_code, moved.headers["Location"]) == (302, listener.url("elsewhere"))


def test_wait_ends_once_enough_has_come(listener):
    caller = threading.Thread(target=lambda: [requests.post(listener.url("a")) for _ in range(2)])
    caller.start()
    assert len(listener.wait("a", count=2)) == 2
    caller.join()


def test_wait_ends_when_time_is_up(listener):
    listener.patience = 0.0
    requests.post(listener.url("a"))
    assert len(listener.wait("a", count=2)) == 1


def test_listener_behind_an_address_is_reached_at_its_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with listening(f"http://localhost:{port}/") as listener:
        assert listener.url("a") == f"http://localhost:{port}/a"
        requests.post(f"http://127.0.0.1:{port}/a")
        assert len(listener.calls("a")) == 1


def test_listener_is_closed_at_the_end():
    with listening() as listener:
        pass
    with pytest.raises(requests.ConnectionError):
        requests.post(listener.url("a"))
