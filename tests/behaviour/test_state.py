"""Export and import: the other server answers as the first one did, and goes on from there."""

import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from astria_emulator.control.state_checks import ROWS, fields_of, times
from astria_emulator.spec.openapi import JSON
from astria_emulator.spec.schemas import Compiler
from tests import PATIENCE_SECONDS
from tests.listeners import listening

NESTED = [{"text": "a {{eye_color}}", "num_images": 2}, {"text": "b", "w": 128, "h": 64}]
SMALL = {"w": 64, "h": 64, "num_images": 1}


def exported(api: Any) -> bytes:
    answer = api.client.get("/_emulator/state")
    assert (answer.status_code, answer.content_type) == (200, "application/zip")
    return bytes(answer.data)


def imported(api: Any, archive: bytes, **more: Any) -> Any:
    return api.client.put(
        "/_emulator/state", data=archive, **{"content_type": "application/zip", **more}
    )


def restored(api: Any, archive: bytes) -> Any:
    answer = imported(api, archive)
    assert answer.status_code == 200, answer.text
    return answer.json


def document(archive: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        return json.loads(found.read("state.json"))


def live(api: Any, photo: Callable[..., bytes], callback: str) -> None:
    """Objects of every kind, and all that is kept with them."""
    data = {
        "tune[title]": "Jäne",
        "tune[name]": "woman",
        "tune[branch]": "fast",
        "tune[callback]": f"{callback}/tune",
        "tune[images][]": [(io.BytesIO(photo("red")), "1.jpg"), (io.BytesIO(b"a dog"), "1.txt")],
        "tune[characteristics]": '{"eye_color": "blue eyes"}',
        "tune[prompts_attributes]": json.dumps(NESTED),
    }
    assert api.call("POST", "/tunes", data=data).status_code == 201
    lora = api.tune(title="L", branch="flux1", auto_extend=True)
    api.finish()
    api.prompt(lora["id"], callback=f"{callback}/prompt", **SMALL)
    upload = {"prompt[text]": "c", "prompt[input_image]": (io.BytesIO(photo("teal")), "a.jpg")}
    assert api.call("POST", "/tunes/690204/prompts", data=upload).status_code == 201
    run = {"tune_ids": [lora["id"]], "prompts_callback": f"{callback}/run"}
    api.post("/p/260/tunes", {"tune": {**run, "prompt_attributes": SMALL}})
    video = {"text": "d", "video_model": "seedance2_fast_720p", "video_prompt": "waves"}
    api.post("/tunes/3618064/prompts", {"prompt": {**video, "num_images": 1}})
    api.post("/workspaces", {"workspace": {"title": "W"}})
    api.post("/packs", {"pack": {"title": "P"}})
    api.finish()
    assert api.call("POST", f"/prompts/{api.get('/prompts')[0]['id']}/likes").status_code < 300


def seen(api: Any) -> dict[str, bytes]:
    """Every answer to a GET, and every file that they name."""
    paths = ["/tunes", "/prompts?limit=120", "/packs", "/workspaces", "/users", "/gallery/tunes"]
    paths += ["/p/260", "/_emulator/callbacks"]
    paths += [f"/tunes/{tune['id']}" for tune in api.get("/tunes")]
    prompts = api.get("/prompts?limit=120")
    paths += [f"/tunes/{prompt['tune_id']}/prompts/{prompt['id']}" for prompt in prompts]
    urls = [url for prompt in prompts for url in (*prompt["images"], prompt["input_image"])]
    for tune in api.get("/tunes"):
        urls += [*tune["orig_images"], *tune["ckpt_urls"]]
    found = {}
    for path in (*paths, *filter(None, urls)):
        with api.call("GET", path) as answer:
            assert answer.status_code == 200, path
            found[path] = answer.data
    return found


def goes_on(api: Any) -> list[Any]:
    """What comes of the same requests."""
    tune = api.tune(title="After", prompts_attributes=[{"text": "e", **SMALL}])
    prompt = api.prompt(tune["id"], **SMALL)
    more = [
        api.post("/workspaces", {"workspace": {"title": "W2"}}),
        api.post("/packs", {"pack": {"title": "P2"}}),
    ]
    api.finish()
    ended = api.get(f"/prompts/{prompt['id']}")
    with api.call("GET", ended["images"][0]) as picture:
        return [tune, prompt, *more, ended, picture.data, api.get("/prompts")]


# -- what comes over -------------------------------------------------------------------------------
def test_other_server_answers_as_this_one_and_goes_on_alike(api, make_api, photo, receiver) -> None:
    live(api, photo, receiver.url)
    archive, before = exported(api), seen(api)
    archive = exported(api)  # the looking has moved the clock
    other = make_api()
    other.tune(title="forgotten")
    counts = restored(other, archive)
    assert counts["objects"] == {"tune": 2, "prompt": 7, "pack": 1, "workspace": 1}
    assert seen(other) == before
    restored(other, archive)
    assert goes_on(other) == goes_on(api)


def test_export_of_the_import_is_the_same(api, make_api, photo, receiver) -> None:
    live(api, photo, receiver.url)
    archive, other = exported(api), make_api()
    restored(other, archive)
    assert exported(other) == archive


def asked(compiler: Compiler, table: str) -> frozenset[str]:
    """What a request may say of an object, which its row then has."""
    for operation in compiler.spec.operations:
        if operation.id.startswith("create_") and operation.wrapper == table:
            assert operation.request_body
            body = compiler.spec.resolve(operation.request_body["content"][JSON]["schema"])
            return compiler.property_names(body["properties"][table])
    return frozenset()


def test_row_has_no_field_that_is_not_described(api, photo, receiver) -> None:
    live(api, photo, receiver.url)
    contract = api.client.application.services.contract
    tables = document(exported(api))["tables"]
    assert tables.keys() >= {"tune", "prompt", "pack", "workspace", "user", "delivery"}
    for table, rows in tables.items():
        known = fields_of(ROWS[table]).keys() | asked(contract, table)
        for row in rows:
            assert row["data"].keys() | row["times"].keys() <= known
            assert row["times"].keys() <= times()


def test_everything_of_before_is_forgotten(api, make_api) -> None:
    archive = exported(make_api(train_seconds=1))
    tune = api.tune()
    restored(api, archive)
    assert api.get("/tunes") == []
    assert api.client.get(tune["orig_images"][0]).status_code == 404
    assert api.tune()["id"] == tune["id"]
    assert api.client.get("/_emulator/jobs").json != []


def test_what_was_switched_comes_over(api, make_api) -> None:
    api.client.patch("/_emulator/settings", json={"idempotency": True})
    archive, other = exported(api), make_api()
    restored(other, archive)
    assert other.client.get("/_emulator/settings").json == {"idempotency": True}
    assert other.tune()["id"] == other.tune()["id"]


def test_setting_that_was_not_switched_is_the_servers_own(make_api) -> None:
    archive = exported(make_api(clock="2026-01-01T00:00:00Z"))
    other = make_api(idempotency=True)
    other.client.patch("/_emulator/settings", json={"idempotency": False})
    restored(other, archive)
    assert other.client.get("/_emulator/settings").json == {"idempotency": True}


def test_addresses_begin_with_the_host_that_the_import_was_sent_to(api, make_api) -> None:
    tune = api.tune()
    assert imported(api, exported(api), headers={"Host": "127.0.0.1:9000"}).status_code == 200
    shown = api.get(f"/tunes/{tune['id']}")
    assert shown["url"] == f"http://127.0.0.1:9000/tunes/{tune['id']}.json"
    assert shown["orig_images"][0].startswith("http://127.0.0.1:9000/")


def test_keys_are_in_it_as_hashes_only(make_api) -> None:
    api = replace(make_api(), key="sd_very_secret")
    api.tune()
    with zipfile.ZipFile(io.BytesIO(exported(api))) as archive:
        text = archive.read("state.json").decode()
    assert "very_secret" not in text
    assert '"key:' in text


def test_file_is_offered_for_keeping(api) -> None:
    headers = api.client.get("/_emulator/state").headers
    assert headers["Content-Disposition"] == 'attachment; filename="state.zip"'


# -- time ------------------------------------------------------------------------------------------
def test_virtual_clock_is_set_to_the_time_of_the_export_also_back(api) -> None:
    archive = exported(api)
    now = api.client.get("/_emulator/clock").json["now"]
    api.client.post("/_emulator/clock", json={"days": 400})
    restored(api, archive)
    assert api.client.get("/_emulator/clock").json["now"] == now
    assert document(archive)["clock"] == "2026-01-01T00:00:00Z"


def test_tune_expires_after_the_import_as_it_would_have(api, make_api) -> None:
    tune = api.tune()
    api.finish()
    archive, other = exported(api), make_api()
    restored(other, archive)
    other.client.post("/_emulator/clock", json={"days": 31})
    state = other.client.get(f"/_emulator/tunes/{tune['id']}").json["state"]
    assert (state, other.get(f"/tunes/{tune['id']}")["orig_images"]) == ("expired", [])


def test_state_of_a_system_clock_leaves_a_virtual_one(api, make_api) -> None:
    archive = exported(make_api(clock=""))
    assert document(archive)["clock"] is None
    api.client.post("/_emulator/clock", json={"days": 4})
    restored(api, archive)
    assert api.client.get("/_emulator/clock").json["now"] == "2026-01-05T00:00:00.000Z"


def test_state_of_a_virtual_clock_goes_on_by_the_system_clock(api, make_api, receiver) -> None:
    tune = api.tune(callback=receiver.url)
    archive, other = exported(api), make_api(clock="")
    api.client.post("/_emulator/reset")
    restored(other, archive)
    other.finish()
    assert other.get(f"/tunes/{tune['id']}")["trained_at"]
    assert len(receiver.received) == 1


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
    services.callbacks._call = lambda: None  # as if there were no time to send them
    for number in range(40):
        services.callbacks.send(tune, f"{receiver.url}/{number}", {})
    archive = exported(api)
    del services.callbacks._call
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
    document_["files"] = {}
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
