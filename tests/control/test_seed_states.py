"""Seed data that is an exported state, a folder, or wrong."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from astria_emulator import Config, SetupError, create_app
from tests.conftest import START, Api
from tests.control.seed_files import TUNE


def refused(path: str, **settings: Any) -> tuple[str, ...]:
    with pytest.raises(SetupError, match=re.escape(f"--seed-data {path}")) as found:
        create_app(Config(seed_data=path, **{"clock": START, **settings}))
    return found.value.problems


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
