"""Seed data: from what people write or from an export, at the start and after each reset."""

from typing import Any

import pytest

from astria_emulator import SetupError
from astria_emulator.clock import read_time
from tests.conftest import START, Api
from tests.control.seed_files import TUNE


def shown(api: Api) -> list[Any]:
    return [api.get(path) for path in ("/tunes", "/prompts", "/packs")]


# -- what is there ---------------------------------------------------------------------------------
def test_objects_are_there_and_done_as_the_server_starts(seeded: Any, receiver: Any) -> None:
    local, other = seeded()
    style, jane = local.get("/tunes")
    assert (jane["title"], jane["trained_at"]) == ("Jane Doe", "2026-01-01T00:00:00.000Z")
    assert jane["expires_at"] == "2026-01-31T00:00:00.000Z"
    assert (style["title"], [tune["title"] for tune in other.get("/tunes")]) == ("Style", ["Cat"])
    second, first = local.get("/prompts")
    assert [len(prompt["images"]) for prompt in (first, second)] == [2, 1]
    assert second["tunes"] == [{"id": style["id"], "title": "Style"}]
    assert [pack["title"] for pack in local.get("/packs")] == ["Gifts"]
    for url in (*jane["orig_images"], *jane["ckpt_urls"], *second["images"]):
        with local.client.get(url) as file:
            assert file.status_code == 200
    assert {job["kind"] for job in local.client.get("/_emulator/jobs").json} == {"expire_tune"}


def test_nobody_is_called(seeded: Any, receiver: Any) -> None:
    local, _ = seeded()
    assert local.get("/tunes")[1]["callback"] == f"{receiver.url}/tune"
    local.finish()
    assert receiver.received == []
    assert local.client.get("/_emulator/callbacks").json == []
    local.tune(callback=f"{receiver.url}/later")
    local.finish()
    assert [path for path, _ in receiver.received] == ["/later"]
    assert [call["id"] for call in local.client.get("/_emulator/callbacks").json] == [1]


def test_clock_does_not_move(seeded: Any) -> None:
    local, _ = seeded(train_seconds=60, prompt_seconds=60)
    assert local.client.get("/_emulator/clock").json["now"] == f"{START[:-1]}.000Z"


def test_no_fault_strikes_it(seeded: Any, write: Any) -> None:
    faults = write('[{"fault": "training-fails"}, {"fault": "prompt-fails"}]', "faults.yaml")
    local, _ = seeded(faults=faults)
    assert all(tune["trained_at"] for tune in local.get("/tunes"))
    assert [rule["met"] for rule in local.client.get("/_emulator/faults").json] == [0, 0]


def test_json_is_read_too(make_app: Any, write: Any) -> None:
    app = make_app(seed_data=write([{"key": "sd_test", "tunes": [TUNE, TUNE]}], "seed.json"))
    assert len(Api(app.test_client()).get("/tunes")) == 2


def test_addresses_begin_with_the_host_of_whoever_asks(seeded: Any) -> None:
    local, _ = seeded()
    for host in ("127.0.0.1:8417", "localhost"):
        tune = local.get("/tunes", headers={"Host": host})[0]
        assert tune["orig_images"][0].startswith(f"http://{host}/")
        assert tune["url"].startswith(f"http://{host}/")


def test_file_of_nobody_is_no_seed(make_app: Any, write: Any) -> None:
    assert Api(make_app(seed_data=write("[]")).test_client()).get("/tunes") == []


# -- after a reset ---------------------------------------------------------------------------------
def test_objects_are_there_again_after_a_reset(seeded: Any) -> None:
    local, other = seeded()
    before = shown(local), shown(other)
    for tune in local.get("/tunes"):
        assert local.call("DELETE", f"/tunes/{tune['id']}").status_code == 200
    local.tune(title="forgotten")
    local.client.application.services.clock.set(read_time(START))
    assert local.client.post("/_emulator/reset").status_code == 200
    assert (shown(local), shown(other)) == before
    assert local.tune()["id"] == 5_000_004


def test_times_after_a_reset_are_those_of_the_clock(seeded: Any) -> None:
    local, _ = seeded()
    local.client.post("/_emulator/clock", json={"days": 100})
    local.client.post("/_emulator/reset")
    local.get("/users")
    assert local.get("/tunes")[0]["created_at"].startswith("2026-04-11T")
    assert local.get("/tunes")[0]["orig_images"]


def test_settings_stay_after_a_reset(seeded: Any) -> None:
    local, _ = seeded()
    local.client.patch("/_emulator/settings", json={"idempotency": True})
    local.client.post("/_emulator/reset")
    assert local.client.get("/_emulator/settings").json == {"idempotency": True}


def test_reset_that_cannot_sow_again_changes_nothing(
    seeded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    local, _ = seeded()
    tune = local.tune(title="kept")

    def fail(*args: Any) -> None:
        raise SetupError("--seed-data", ["the pictures are gone"])

    monkeypatch.setattr(local.client.application.services, "insert_seed_data", fail)
    answer = local.client.post("/_emulator/reset")
    assert answer.status_code == 409
    assert "the pictures are gone" in answer.json["error"]
    assert local.get("/tunes")[0]["id"] == tune["id"]
