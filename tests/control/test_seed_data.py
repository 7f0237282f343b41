"""Seed data: from what people write or from an export, at the start and after each reset."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from astria_emulator import Config, SetupError, create_app
from astria_emulator.app import Emulator
from astria_emulator.clock import read_time
from tests.conftest import START, Api

WRITTEN = """
- key: sd_local            # whose objects these are
  packs:
    - title: Gifts
  tunes:
    - title: Jane Doe
      name: woman
      branch: fast
      callback: {url}/tune
      image_urls: [https://example.com/1.jpg]
      prompts:
        - text: portrait of ohwx woman in a garden
          num_images: 2
          callback: {url}/prompt
        - {{text: "<lora:5000002:1> ohwx woman", num_images: 1, w: 64, h: 64}}
    - {{title: Style, name: style, branch: flux1, image_urls: ["https://example.com/2.jpg"]}}
- key: sd_other
  tunes:
    - {{title: Cat, name: cat, branch: fast, image_urls: ["https://example.com/3.jpg"]}}
"""
TUNE = {"title": "a", "name": "man", "branch": "fast", "image_urls": ["https://example.com/1.jpg"]}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Any], str]:
    """Writes a document, or text, and returns the file's path."""

    def written(document: Any, name: str = "seed.yaml") -> str:
        path = tmp_path / name
        text = document if isinstance(document, str) else json.dumps(document, indent="\t")
        path.write_text(text)
        return str(path)

    return written


@pytest.fixture
def seeded(
    make_app: Callable[..., Emulator], write: Any, receiver: Any
) -> Callable[..., tuple[Api, Api]]:
    """The two accounts of an application that begins with what is written above."""

    def make(**settings: Any) -> tuple[Api, Api]:
        client = make_app(
            seed_data=write(WRITTEN.format(url=receiver.url)), **settings
        ).test_client()
        return Api(client, "sd_local"), Api(client, "sd_other")

    return make


def refused(path: str, **settings: Any) -> tuple[str, ...]:
    with pytest.raises(SetupError, match=re.escape(f"--seed-data {path}")) as found:
        create_app(Config(seed_data=path, **{"clock": START, **settings}))
    return found.value.problems


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


# -- an exported state -----------------------------------------------------------------------------
@pytest.fixture
def archive(make_api: Any, tmp_path: Path, receiver: Any) -> str:
    """A state with a trained tune and one in training, a day after the start."""
    api = make_api(train_seconds=60)
    api.client.post("/_emulator/clock", json={"days": 1})
    api.tune(title="done", prompts_attributes=[{"text": "a", "w": 64, "h": 64, "num_images": 1}])
    api.finish()
    api.tune(title="in training", callback=receiver.url)
    path = tmp_path / "state.zip"
    path.write_bytes(api.client.get("/_emulator/state").data)
    api.client.post("/_emulator/reset")
    return str(path)


def test_exported_state_goes_on_where_it_was(make_app: Any, archive: str, receiver: Any) -> None:
    seeded = Api(make_app(seed_data=archive, train_seconds=60).test_client())
    for count in (1, 2):
        now = seeded.client.get("/_emulator/clock").json["now"]
        assert now == "2026-01-02T00:01:01.500Z"
        assert [bool(tune["trained_at"]) for tune in seeded.get("/tunes")] == [False, True]
        seeded.finish()
        assert [bool(tune["trained_at"]) for tune in seeded.get("/tunes")] == [True, True]
        assert len(receiver.received) == count
        with seeded.client.get(seeded.get("/prompts")[0]["images"][0]) as picture:
            assert picture.status_code == 200
        seeded.client.post("/_emulator/clock", json={"days": 40})
        assert seeded.client.post("/_emulator/reset").status_code == 200


def test_archive_that_is_broken_stops_the_start(archive: str) -> None:
    path = Path(archive)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"state.json", b"state.jsom"))
    message = "state.jsom is neither state.json nor blobs/ and the key of a file"
    assert refused(archive) == (message,)


# -- a folder --------------------------------------------------------------------------------------
def test_folder_that_has_objects_is_left_alone(
    make_app: Any, write: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = {"data": str(tmp_path / "data"), "clock": ""}
    settings["seed_data"] = write([{"key": "sd_test", "tunes": [TUNE]}])
    app = create_app(Config(**settings))
    api = Api(app.test_client())
    assert len(api.get("/tunes")) == 1
    api.tune(title="own")
    app.close()
    api = Api(make_app(**settings).test_client())
    assert [tune["title"] for tune in api.get("/tunes")] == ["own", "a"]
    assert "there are objects already" in caplog.text
    api.client.post("/_emulator/reset")
    assert [tune["title"] for tune in api.get("/tunes")] == ["a"]


def test_start_that_is_stopped_leaves_the_folder_free_and_empty(
    make_app: Any, write: Any, tmp_path: Path
) -> None:
    data = str(tmp_path / "data")
    wrong = write([{"key": "sd_test", "tunes": [TUNE, {**TUNE, "title": ""}]}])
    refused(wrong, data=data, clock="")
    assert Api(make_app(data=data, clock="").test_client()).get("/tunes") == []


# -- what is wrong ---------------------------------------------------------------------------------
def test_everything_wrong_is_listed_with_its_place(write: Any) -> None:
    tunes = [
        {"titel": "a", "name": "man", "branch": "warp",
         "prompts": [{"text": "a", "num_images": 99}, 5, {"text": ""}]},
        {**TUNE, "base_tune_id": 77},
        {**TUNE, "prompts": [{"text": "a", "w": 5}, {"text": "a", "workspace_id": 4}]},
    ]  # fmt: skip
    accounts = [
        {"key": "sd_a", "tunes": tunes},
        {"key": "no", "tune": [], "tunes": [{}]},
        {"tunes": {}, "packs": [{"titles": 1}]},
        "sd_b",
    ]
    found = sorted(refused(write(accounts)))
    beginnings = sorted([
        "account 1, tune 1: there is no titel",
        "account 1, tune 1: title can't be blank",
        "account 1, tune 1: branch is not included in the list",
        "account 1, tune 1: images must contain at least one image",
        "account 1, tune 1, prompt 1: num_images must be less than",
        "account 1, tune 1, prompt 2: expected an object",
        "account 1, tune 1, prompt 3: text can't be blank",
        "account 1, tune 2: base_tune_id must exist",
        "account 1, tune 3, prompt 1: w must be greater than",
        "account 1, tune 3, prompt 2: workspace_id must exist",
        "account 2: key is not an account's key",
        "account 2: tune is none of key, packs, tunes",
        "account 2, tune 1: title can't be blank",
        "account 2, tune 1: name can't be blank",
        "account 2, tune 1: images must contain at least one image",
        "account 3: key is not an account's key",
        "account 3: expected a list of tunes",
        "account 3, pack 1: there is no titles",
        "account 3, pack 1: title can't be blank",
        "account 4: expected an object",
    ])  # fmt: skip
    assert [
        text[: len(begin)] for text, begin in zip(found, beginnings, strict=False)
    ] == beginnings
    assert len(found) == len(beginnings)


def test_key_must_be_one_of_the_servers(write: Any) -> None:
    path = write([{"key": "sd_secret"}])
    assert refused(path, keys=("sd_a",)) == ("account 1: key is not an account's key",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file: expected a list of accounts"),
        ("{key: sd_a}", "the file: expected a list of accounts"),
        ("- [", "did not find expected node content"),
        ("- key: sd_a\n  tunes: [.nan]", "is no JSON number"),
        ("\0", "control characters are not allowed"),
    ],
)
def test_file_that_is_no_list_of_accounts_is_refused(text: str, problem: str, write: Any) -> None:
    [found] = refused(write(text))
    assert problem in found


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.yaml", tmp_path):
        assert str(path) in refused(str(path))[0]
