"""A state that is taken or imported while work is under way, and what is refused."""

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from tests import PATIENCE_SECONDS
from tests.behaviour.state_transfer import SMALL, document, exported, imported, restored
from tests.listeners import listening


# -- work under way --------------------------------------------------------------------------------
def test_training_under_way_ends_after_the_import_with_one_callback(
    slow, make_api, receiver
) -> None:
    prompts = [{"text": "a", "callback": f"{receiver.url}/prompt", **SMALL}]
    tune = slow.tune(callback=f"{receiver.url}/tune", prompts_attributes=prompts)
    assert slow.get(f"/tunes/{tune['id']}")["started_training_at"]
    archive = exported(slow)
    slow.client.post("/_emulator/reset")
    other = make_api(train_seconds=60, prompt_seconds=60)
    assert restored(other, archive)["jobs"] == 1
    other.client.post("/_emulator/clock", json={"seconds": 30})
    assert other.get(f"/tunes/{tune['id']}")["trained_at"] is None
    other.client.post("/_emulator/clock", json={"seconds": 120})
    other.finish()
    assert other.get(f"/tunes/{tune['id']}")["trained_at"] == "2026-01-01T00:01:00.000Z"
    assert [path for path, _ in receiver.received] == ["/tune", "/prompt"]


@dataclass
class Slow:
    """A receiver that answers when it is let go."""

    url: str = ""
    calls: list[str] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def slow_receiver() -> Iterator[Slow]:
    found = Slow()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            found.calls.append(self.path)
            found.arrived.set()
            found.go.wait(PATIENCE_SECONDS)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    with listening(Handler) as found.url:
        yield found
        found.go.set()


def states(api: Any) -> list[str]:
    return [call["state"] for call in api.client.get("/_emulator/callbacks").json]


def under_way(api: Any, receiver: Slow) -> None:
    """A tune's callback is on its way, and its prompt's waits for that one to end."""
    prompts = [{"text": "a", "callback": f"{receiver.url}/prompt", **SMALL}]
    api.tune(callback=f"{receiver.url}/tune", prompts_attributes=prompts)
    api.client.post("/_emulator/clock", json={"seconds": 60})
    assert receiver.arrived.wait(PATIENCE_SECONDS)
    assert states(api) == ["recorded", "recorded"]


def test_callback_under_way_ends_as_unknown_and_is_not_sent_again(
    api, make_api, slow_receiver
) -> None:
    under_way(api, slow_receiver)
    archive = exported(api)
    api.client.post("/_emulator/reset")  # the other one goes on, and this one does not
    other = make_api()
    restored(other, archive)
    slow_receiver.go.set()
    other.finish()
    assert sorted(states(other)) == ["delivered", "unknown"]
    assert slow_receiver.calls == ["/tune", "/prompt"]


def test_callback_under_way_here_leaves_what_was_put_back_alone(api, slow_receiver) -> None:
    """The sender of before must not end, or let go, what has the ids of its calls now."""
    under_way(api, slow_receiver)
    restored(api, exported(api))
    slow_receiver.go.set()
    api.finish()
    assert sorted(states(api)) == ["delivered", "unknown"]
    assert slow_receiver.calls == ["/tune", "/prompt"]


def test_all_waiting_callbacks_are_sent_however_many(make_api, receiver) -> None:
    api = make_api()
    services = api.client.application.services
    tune = services.store.get("tune", api.tune()["id"])
    api.finish()
    services.callbacks._senders.wake = lambda receiver: None  # nobody sends them
    for number in range(40):
        services.callbacks.send(tune, f"{receiver.url}/{number}", {})
    archive = exported(api)
    del services.callbacks._senders.wake
    restored(api, archive)
    api.finish()
    assert "recorded" not in states(api)


# -- what is refused -------------------------------------------------------------------------------
def packed(document: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("state.json", json.dumps(document))
    return out.getvalue()


REFUSALS: list[tuple[bytes, int, str]] = [
    (b"", 400, "no zip archive"),
    (b"nonsense", 400, "no zip archive"),
    (packed({"format": 99}), 422, "later version"),
    (packed({"format": 1}), 422, "is missing"),
    (packed([]), 422, "is not an object"),
]


@pytest.mark.parametrize(
    ("data", "status", "said"), REFUSALS, ids=["empty", "no zip", "later", "nothing", "array"]
)
def test_file_that_is_not_right_changes_nothing(api, data, status, said) -> None:
    api.tune()
    before = exported(api)
    answer = imported(api, data)
    assert (answer.status_code, said in answer.text) == (status, True)
    assert exported(api) == before


def test_import_that_fails_on_its_way_changes_nothing(api, monkeypatch, photo) -> None:
    data = {"tune[title]": "a", "tune[name]": "man",
            "tune[images][]": [(io.BytesIO(photo()), "1.jpg")]}  # fmt: skip
    tune = api.call("POST", "/tunes", data=data).json
    before = exported(api)
    services = api.client.application.services

    def full(*args: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(type(services.gallery), "insert_into", full)
    assert imported(api, before).status_code == 500
    assert exported(api) == before
    with api.call("GET", tune["orig_images"][0]) as picture:
        assert picture.data == photo()


def test_rows_of_the_gallery_are_refused(api) -> None:
    api.tune()
    document_ = document(exported(api))
    document_["tables"]["tune"][0]["owner"] = None
    answer = imported(api, packed(document_))
    assert answer.status_code == 422
    assert answer.json == {"tables.tune[0].owner": ["is no account's id"]}


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data"])
def test_body_of_another_kind_is_refused(api, content_type) -> None:
    answer = imported(api, exported(api), content_type=content_type)
    assert answer.status_code == 415


def test_body_without_a_content_type_is_taken(api) -> None:
    assert imported(api, exported(api), content_type=None).status_code == 200


def test_body_that_is_too_long_is_refused(make_api) -> None:
    answer = imported(make_api(max_body_mb=1), b"x" * 1_100_000)
    assert (answer.status_code, answer.json["status"]) == (413, 413)


def test_state_needs_what_control_needs(api, make_api) -> None:
    archive = exported(api)
    closed = make_api(control_token="s3cret")
    assert closed.client.get("/_emulator/state").status_code == 403
    assert imported(closed, archive).status_code == 403
    right = {"Authorization": "Bearer s3cret"}
    assert imported(closed, archive, headers=right).status_code == 200
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        assert api.client.get("/_emulator/state", headers=headers).status_code == 403
        assert imported(api, archive, headers=headers).status_code == 403
