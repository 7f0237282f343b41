"""Faults of callbacks, as a receiver sees them."""

import threading
from http.server import BaseHTTPRequestHandler

import pytest

from tests import PATIENCE_SECONDS
from tests.faults.test_work import fault
from tests.listeners import listening


def log(api):
    """State, fault and path of each delivery, oldest first."""
    found = api.client.get("/_emulator/callbacks").json
    return [
        (row["state"], row.get("fault"), row["url"].rpartition("/")[2]) for row in reversed(found)
    ]


def tune_and_prompt(api, receiver):
    nested = [{"text": "ohwx woman", "callback": f"{receiver.url}/prompt"}]
    return api.tune(callback=f"{receiver.url}/tune", prompts_attributes=nested)


def paths(receiver):
    return [path for path, _ in receiver.received]


def test_dropped_callback_never_comes(api, receiver):
    fault(api, "callback-dropped", object="tune")
    tune_and_prompt(api, receiver)
    api.finish()
    assert paths(receiver) == ["/prompt"]
    assert log(api) == [("dropped", "callback-dropped", "tune"), ("delivered", None, "prompt")]


def test_dropped_callback_can_be_sent_by_hand(api, receiver):
    fault(api, "callback-dropped")
    api.tune(callback=f"{receiver.url}/tune")
    api.finish()
    assert api.client.post("/_emulator/callbacks/1/redeliver").status_code == 201
    api.finish()
    assert paths(receiver) == ["/tune"]


def test_doubled_callback_comes_twice_with_the_same_body(api, receiver):
    fault(api, "callback-doubled", object="tune")
    tune_and_prompt(api, receiver)
    api.finish()
    assert paths(receiver) == ["/tune", "/tune", "/prompt"]
    assert receiver.received[0] == receiver.received[1]


def test_delayed_callback_comes_when_its_time_has_passed(api, receiver):
    fault(api, "callback-delayed", seconds=600, object="tune")
    tune = api.tune(callback=f"{receiver.url}/tune")
    api.client.post("/_emulator/clock", json={"seconds": 60})
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]
    assert api.client.application.services.callbacks.wait(PATIENCE_SECONDS)
    assert paths(receiver) == []
    api.client.post("/_emulator/clock", json={"seconds": 600})
    assert api.client.application.services.callbacks.wait(PATIENCE_SECONDS)
    assert paths(receiver) == ["/tune"]


def test_delayed_callback_of_a_tune_delays_those_of_its_prompts(api, receiver):
    """A tune's call ends before those of its prompts begin, late or not."""
    fault(api, "callback-delayed", seconds=600, object="tune")
    tune_and_prompt(api, receiver)
    api.finish()
    assert paths(receiver) == ["/tune", "/prompt"]


def test_reordered_callback_comes_after_the_next_one(api, receiver):
    fault(api, "callback-reordered", object="tune")
    tune_and_prompt(api, receiver)
    api.finish()
    assert paths(receiver) == ["/prompt", "/tune"]


def test_reordered_callback_comes_late_when_there_is_no_next_one(api, receiver):
    fault(api, "callback-reordered", seconds=30)
    api.tune(callback=f"{receiver.url}/tune")
    api.client.post("/_emulator/clock", json={"seconds": 20})
    assert api.client.application.services.callbacks.wait(PATIENCE_SECONDS)
    assert paths(receiver) == []
    api.client.post("/_emulator/clock", json={"seconds": 30})
    assert api.client.application.services.callbacks.wait(PATIENCE_SECONDS)
    assert paths(receiver) == ["/tune"]


def test_reordering_all_swaps_pairs(api, receiver):
    fault(api, "callback-reordered")
    for name in "abcd":
        api.prompt(690204, callback=f"{receiver.url}/{name}")
    api.finish()
    found = "".join(paths(receiver)).replace("/", "")
    assert sorted(found) == [*"abcd"]
    assert found.index("b") < found.index("a")
    assert found.index("d") < found.index("c")


def test_timed_out_callback_comes_and_counts_as_failed(api):
    arrived = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.set()

        def log_message(self, *args: object) -> None: ...

    fault(api, "callback-timed-out")
    with listening(Handler) as url:
        api.tune(callback=f"{url}/tune")
        api.finish()
        assert arrived.wait(PATIENCE_SECONDS)
    [delivery] = api.client.get("/_emulator/callbacks").json
    assert (delivery["state"], delivery["status"]) == ("failed", None)
    assert "timed out" in delivery["error"]


@pytest.mark.parametrize(
    "name", ["callback-dropped", "callback-doubled", "callback-delayed", "callback-reordered"]
)
def test_rule_for_prompts_leaves_tunes_alone(api, receiver, name):
    needs = {"seconds": 60} if name == "callback-delayed" else {}
    fault(api, name, object="prompt", **needs)
    api.tune(callback=f"{receiver.url}/tune")
    api.finish()
    assert log(api) == [("delivered", None, "tune")]


def test_pack_runs_call_can_be_struck(api, receiver):
    fault(api, "callback-dropped", object="run")
    body = {
        "tune": {
            "title": "Jane", "name": "woman", "image_urls": ["https://a.example/1.jpg"],
            "prompts_callback": f"{receiver.url}/run",
        }
    }  # fmt: skip
    api.post("/p/260/tunes", body)
    api.finish()
    assert ("dropped", "callback-dropped", "run") in log(api)
    assert paths(receiver) == []
