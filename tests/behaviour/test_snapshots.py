"""Named snapshots: taken, restored as often as one likes, and kept through a reset."""

import io
from typing import Any

import pytest

from astria_emulator.storage import snapshots


def take(api: Any, name: str) -> Any:
    answer = api.client.put(f"/_emulator/snapshots/{name}")
    assert answer.status_code == 200, answer.text
    return answer.json


def restore(api: Any, name: str) -> Any:
    answer = api.client.post(f"/_emulator/snapshots/{name}/restore")
    assert answer.status_code == 200, answer.text
    return answer.json


def names(api: Any) -> list[str]:
    return [row["name"] for row in api.client.get("/_emulator/snapshots").json]


@pytest.fixture
def api(make_app: Any) -> Any:
    """An application of its own: snapshots stay when another test's is put back."""
    from tests.conftest import Api

    return Api(make_app(clock="2026-01-01T00:00:00Z").test_client())


def test_snapshots_are_listed_in_the_order_in_which_they_were_taken(api) -> None:
    assert api.client.get("/_emulator/snapshots").json == []
    none = {"tune": 0, "prompt": 0, "pack": 0, "workspace": 0}
    at = "2026-01-01T00:00:00.000Z"
    assert take(api, "b") == {"name": "b", "taken_at": at, "objects": none, "jobs": 0, "files": 0}
    api.tune()
    shown = take(api, "a")
    assert shown["taken_at"] == "2026-01-01T00:00:01.000Z"
    assert (shown["objects"]["tune"], shown["jobs"], shown["files"]) == (1, 1, 1)
    assert names(api) == ["b", "a"]
    assert take(api, "b")["objects"]["tune"] == 1  # in place of the one of before
    assert names(api) == ["a", "b"]


def test_restored_state_answers_as_it_did_and_goes_on_alike(api) -> None:
    first = api.tune(prompts_attributes=[{"text": "a", "w": 64, "h": 64, "num_images": 1}])
    api.finish()
    take(api, "trained")
    seen = []
    for _ in range(3):
        assert restore(api, "trained")["name"] == "trained"
        lists = [api.get(path) for path in ("/tunes", "/prompts", "/users")]
        second = api.tune(title="After")
        api.call("DELETE", f"/tunes/{first['id']}")
        api.client.post("/_emulator/clock", json={"days": 2})
        api.finish()
        with api.call("GET", api.get("/tunes")[0]["ckpt_urls"][0]) as weights:
            seen.append((lists, second, weights.data, api.get("/tunes")))
    assert seen[0] == seen[1] == seen[2]
    assert [tune["id"] for tune in seen[0][3]] == [first["id"] + 1]


def test_deleted_files_are_there_again(api, photo) -> None:
    data = {"tune[title]": "a", "tune[name]": "man",
            "tune[images][]": [(io.BytesIO(photo()), "1.jpg")]}  # fmt: skip
    tune = api.call("POST", "/tunes", data=data).json
    take(api, "here")
    for _ in range(2):
        api.call("DELETE", f"/tunes/{tune['id']}")
        assert api.client.get(tune["orig_images"][0]).status_code == 404
        restore(api, "here")
        with api.call("GET", tune["orig_images"][0]) as picture:
            assert picture.data == photo()


def test_snapshots_survive_a_reset_and_a_restore(api) -> None:
    take(api, "empty")
    api.tune()
    take(api, "one")
    api.client.post("/_emulator/reset")
    assert names(api) == ["empty", "one"]
    restore(api, "one")
    assert len(api.get("/tunes")) == 1
    restore(api, "empty")
    assert api.get("/tunes") == []
    assert names(api) == ["empty", "one"]


def test_work_goes_on_from_where_it_was(make_app, receiver) -> None:
    from tests.conftest import Api

    app = make_app(clock="2026-01-01T00:00:00Z", train_seconds=60)
    api = Api(app.test_client())
    tune = api.tune(callback=receiver.url)
    assert api.get(f"/tunes/{tune['id']}")["trained_at"] is None
    take(api, "training")
    for count in (1, 2):
        api.finish()
        assert api.get(f"/tunes/{tune['id']}")["trained_at"] == "2026-01-01T00:01:00.000Z"
        assert len(receiver.received) == count
        restore(api, "training")
    assert api.client.get("/_emulator/clock").json["now"] == "2026-01-01T00:00:02.000Z"
    assert api.client.get("/_emulator/callbacks").json == []


def test_snapshot_is_removed(api) -> None:
    take(api, "a")
    assert api.client.delete("/_emulator/snapshots/a").json == {"status": "ok"}
    assert names(api) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/_emulator/snapshots/none/restore"), ("DELETE", "/_emulator/snapshots/none")],
)
def test_unknown_snapshot_is_not_found(api, method, path) -> None:
    answer = api.client.open(path, method=method)
    assert (answer.status_code, answer.json["error"]) == (404, "there is no snapshot 'none'")


@pytest.mark.parametrize("name", ["a" * 64, "0", "A.b_c-d", "..."])
def test_name_may_be(api, name) -> None:
    take(api, name)
    assert names(api) == [name]


@pytest.mark.parametrize("name", ["a" * 65, "a b", "ä", "a:b", "%2e%2e%5c"])
def test_name_may_not_be(api, name) -> None:
    answer = api.client.put(f"/_emulator/snapshots/{name}")
    assert (answer.status_code, names(api)) == (422, [])
    assert list(answer.json) == ["name"]


def test_only_so_many_are_kept(api, monkeypatch) -> None:
    monkeypatch.setattr(snapshots, "MOST", 2)
    take(api, "a")
    take(api, "b")
    answer = api.client.put("/_emulator/snapshots/c")
    assert (answer.status_code, names(api)) == (409, ["a", "b"])
    take(api, "a")
    api.client.delete("/_emulator/snapshots/b")
    take(api, "c")
    assert names(api) == ["a", "c"]


def test_snapshots_need_the_token(make_api) -> None:
    client = make_api(control_token="s3cret").client
    assert client.get("/_emulator/snapshots").status_code == 403
    for method, path in (("PUT", "a"), ("DELETE", "a"), ("POST", "a/restore")):
        assert client.open(f"/_emulator/snapshots/{path}", method=method).status_code == 403


def test_snapshots_have_only_so_many_rows_together(api, monkeypatch) -> None:
    api.tune()
    rows = len(api.client.application.services.state().rows)
    monkeypatch.setattr(snapshots, "MOST_ROWS", 2 * rows)
    take(api, "a")
    take(api, "b")
    answer = api.client.put("/_emulator/snapshots/c")
    assert answer.status_code == 409
    assert answer.json["error"] == f"snapshots have {2 * rows} rows together at most; delete one"
    take(api, "b")
    assert names(api) == ["a", "b"]
