"""Every fault of answers, as a client sees it on the wire."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import requests

from astria_emulator.server.channel import Channel
from tests import PATIENCE_SECONDS, wait_until
from tests.listeners import listening

HEADERS = {"Authorization": "Bearer sd_test"}
TUNE = {"title": "Jane", "name": "woman", "branch": "fast", "image_urls": ["https://a.example/1"]}


class Wire:
    """A server, asked over HTTP."""

    def __init__(self, url: str):
        self.url = url

    def fault(self, fault: str, **more: Any) -> None:
        answer = requests.post(f"{self.url}/_emulator/faults", json={"fault": fault, **more})
        assert answer.status_code == 201, answer.text

    def create(self, **kwargs: Any) -> requests.Response:
        body = {"tune": TUNE}
        return requests.post(f"{self.url}/tunes", json=body, headers=HEADERS, **kwargs)

    def tunes(self) -> list[Any]:
        return requests.get(f"{self.url}/tunes", headers=HEADERS).json()

    def journal(self, **query: Any) -> list[Any]:
        return requests.get(f"{self.url}/_emulator/requests", params=query).json()


@pytest.fixture
def wire(make_app: Callable[..., Any], serve: Callable[..., str]) -> Wire:
    return Wire(serve(make_app()))


@pytest.mark.parametrize(
    ("rule", "status", "body"),
    [
        ({"fault": "rate-limited"}, 429, {"status": 429, "error": "Too Many Requests"}),
        ({"fault": "server-error"}, 500, {"status": 500, "error": "Internal Server Error"}),
        ({"fault": "gateway-timeout"}, 504, {"status": 504, "error": "Gateway Timeout"}),
        ({"fault": "unprocessable"}, 422, {"base": ["is refused by a fault"]}),
        (
            {"fault": "unprocessable", "messages": {"text": ["contains a forbidden word"]}},
            422,
            {"text": ["contains a forbidden word"]},
        ),
    ],
)
def test_answer_has_the_status_and_body_of_its_fault(wire, rule, status, body):
    wire.fault(**rule)
    answer = wire.create()
    assert (answer.status_code, answer.json()) == (status, body)
    assert answer.headers["X-Astria-Emulator-Fault"] == rule["fault"]


def test_rate_limited_tells_when_to_come_again(wire):
    wire.fault("rate-limited", retry_after=7)
    assert wire.create().headers["Retry-After"] == "7"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_gateway_page_is_html(wire, status):
    wire.fault("gateway-page", status=status)
    answer = wire.create()
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html")
    assert f"<h1>{status} " in answer.text


@pytest.mark.parametrize(
    "fault", ["server-error", "gateway-timeout", "gateway-page", "rate-limited", "unprocessable"]
)
@pytest.mark.parametrize("work_done", [True, False])
def test_work_is_done_or_not_as_the_rule_says(wire, fault, work_done):
    wire.fault(fault, operation="create_tune", work_done=work_done)
    assert wire.create().status_code >= 400
    assert len(wire.tunes()) == work_done


def test_504_has_done_the_work_unless_told_otherwise(wire):
    wire.fault("gateway-timeout", operation="create_tune")
    wire.create()
    assert len(wire.tunes()) == 1


def test_cut_body_ends_before_its_length(wire):
    wire.fault("cut-body", operation="create_tune")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        wire.create()
    assert len(wire.tunes()) == 1


def test_malformed_json_cannot_be_parsed(wire):
    wire.fault("malformed-json", operation="create_tune")
    answer = wire.create()
    assert answer.status_code == 201
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize("work_done", [True, False])
def test_connection_is_reset_without_an_answer(wire, work_done):
    wire.fault("connection-reset", operation="create_tune", work_done=work_done)
    with pytest.raises(requests.exceptions.ConnectionError, match="reset by peer"):
        wire.create()
    assert len(wire.tunes()) == work_done
    [entry] = wire.journal(operation="create_tune")
    assert (entry["status"], entry["faults"]) == (None, ["connection-reset"])


def test_latency_makes_a_client_time_out_though_the_work_is_done(wire, monkeypatch):
    waited, go = [], threading.Event()

    def wait(channel, seconds):
        waited.append(seconds)
        assert go.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(Channel, "wait", wait)
    wire.fault("latency", operation="create_tune", seconds=0.2, times=1)
    with pytest.raises(requests.exceptions.ReadTimeout):
        wire.create(timeout=0.05)
    go.set()
    wait_until(lambda: len(wire.tunes()) == 1)
    assert wire.create().status_code == 201
    assert waited == [0.2]


def test_latency_delays_an_answer(wire, monkeypatch):
    waited, wait = [], Channel.wait
    monkeypatch.setattr(
        Channel, "wait", lambda channel, seconds: (waited.append(seconds), wait(channel, seconds))
    )
    wire.fault("latency", operation="create_tune", seconds=0.1)
    assert wire.create().status_code == 201
    assert waited == [0.1]
    assert wire.journal(operation="create_tune")[0]["seconds"] >= 0.1


def test_latency_goes_with_another_fault(wire):
    wire.fault("server-error", operation="create_tune")
    wire.fault("latency", operation="create_tune", seconds=0.001)
    assert wire.create().headers["X-Astria-Emulator-Fault"] == "latency, server-error"


def test_callback_comes_before_the_answer(wire, receiver):
    wire.fault("callback-early", operation="create_tune")
    seen_at_callback = []
    tune = {**TUNE, "callback": f"{receiver.url}/tune"}
    answer = requests.post(
        f"{wire.url}/tunes",
        json={"tune": tune},
        headers=HEADERS,
        hooks={"response": lambda response, **_: seen_at_callback.extend(receiver.received)},
    )
    assert answer.status_code == 201
    [(path, body)] = seen_at_callback
    assert (path, body["tune"]["id"]) == ("/tune", answer.json()["id"])


def test_early_callback_comes_on_the_systems_clock_too(make_app, serve, receiver):
    wire = Wire(serve(make_app(clock="", train_seconds=60)))
    wire.fault("callback-early", operation="create_tune")
    tune = {**TUNE, "callback": f"{receiver.url}/tune"}
    requests.post(f"{wire.url}/tunes", json={"tune": tune}, headers=HEADERS)
    assert [path for path, _ in receiver.received] == ["/tune"]


def test_fault_strikes_its_operation_only(wire):
    wire.fault("server-error", operation="list_tunes")
    assert wire.create().status_code == 201
    assert requests.get(f"{wire.url}/tunes", headers=HEADERS).status_code == 500
    assert requests.get(f"{wire.url}/packs", headers=HEADERS).status_code == 200


def test_fault_strikes_its_key_only(wire):
    wire.fault("server-error", key="sd_other")
    assert wire.create().status_code == 201
    other = {"Authorization": "Bearer sd_other"}
    assert requests.get(f"{wire.url}/tunes", headers=other).status_code == 500


def test_file_is_struck_as_an_operation_of_its_own(wire):
    wire.fault("cut-body", operation="file", times=1)
    wire.fault("server-error", operation="file", nth=[2])
    wire.create()
    [url] = wire.tunes()[0]["orig_images"]
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(url)
    assert requests.get(url).status_code == 500
    assert requests.get(url).headers["Content-Type"] == "image/jpeg"


def test_nothing_of_a_fault_is_left_when_it_is_removed(wire):
    wire.fault("server-error")
    assert wire.create().status_code == 500
    requests.delete(f"{wire.url}/_emulator/faults")
    answer = wire.create()
    assert answer.status_code == 201
    assert "X-Astria-Emulator-Fault" not in answer.headers


def test_early_callback_waits_for_no_call_that_waits_for_it(make_app, serve, early_waits):
    """A receiver that makes a prompt before it answers, as many do."""
    wire = Wire(serve(make_app(clock="")))
    wire.fault("callback-early", operation="create_*")
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if tune := body.get("tune"):
                path = f"{wire.url}/tunes/{tune['id']}/prompts"
                prompt = {"prompt": {"text": "ohwx woman", "callback": url}}
                asked.append(requests.post(path, json=prompt, headers=HEADERS).status_code)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    with listening(Handler) as url:
        body = {"tune": {**TUNE, "callback": url}}
        requests.post(f"{wire.url}/tunes", json=body, headers=HEADERS)
        assert asked == [201]
        assert early_waits == [True, True]
        requests.post(f"{wire.url}/_emulator/finish")
    states = [row["state"] for row in requests.get(f"{wire.url}/_emulator/callbacks").json()]
    assert states == ["delivered", "delivered"]
