"""Tunes on tunes: one waits for its base, and ends with it. And what comes beside pictures."""

from io import BytesIO

import pytest


def inside(api, tune):
    return api.client.get(f"/_emulator/tunes/{tune['id']}").json


def form(*files, **given):
    data = {"tune[title]": "Tom", "tune[name]": "cat", "tune[branch]": "fast", **given}
    parts = [(BytesIO(content), name) for name, content in files]
    return {**data, "tune[images][]": parts}


def test_tune_on_an_untrained_tune_waits_for_it(slow):
    first = slow.tune()
    second = slow.tune(base_tune_id=first["id"])
    slow.client.post("/_emulator/clock", json={"seconds": 30})
    assert [inside(slow, one)["state"] for one in (first, second)] == ["training", "queued"]
    slow.finish()
    ends = [slow.get(f"/tunes/{one['id']}") for one in (first, second)]
    assert ends[1]["started_training_at"] >= ends[0]["trained_at"]
    assert ends[1]["trained_at"]


def test_tune_whose_base_was_deleted_fails(slow):
    first = slow.tune()
    second = slow.tune(base_tune_id=first["id"])
    assert slow.call("DELETE", f"/tunes/{first['id']}").status_code == 200
    slow.finish()
    told = inside(slow, second)
    assert told["state"] == "failed"
    assert told["failure"] == f"Tune {first['id']}, its base, was deleted."


def test_tune_that_has_another_title_is_still_known_to_those_on_it(slow):
    first = slow.tune()
    second = slow.tune(base_tune_id=first["id"])
    slow.call("PATCH", f"/tunes/{first['id']}", json={"tune": {"title": "other"}})
    changed = slow.call("PATCH", f"/tunes/{second['id']}", json={"tune": {"title": "third"}})
    assert changed.status_code == 200
    slow.finish()
    assert slow.get(f"/tunes/{second['id']}")["trained_at"]


def test_inside_of_a_tune_is_told_and_of_none_is_404(api):
    tune = api.tune()
    api.finish()
    expected = {
        "id": tune["id"], "state": "trained", "branch": "fast", "backend": "mock",
        "failure": None, "training": {},
    }  # fmt: skip
    assert inside(api, tune) == expected
    assert api.client.get("/_emulator/tunes/1").status_code == 404


# -- captions --------------------------------------------------------------------------------------
def test_text_beside_a_picture_is_its_caption_and_no_picture(api, photo):
    given = form(("tom.jpg", photo()), ("tom.TXT", "a r\u00e9d cat".encode()))
    answer = api.call("POST", "/tunes", data=given)
    assert answer.status_code == 201, answer.text
    assert len(answer.json["orig_images"]) == 1


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("a.txt", b"caption", 422),  # and no picture
        ("a.txt", b"\xff\xfe", 422),
        ("a.txt", b"a\0b", 422),
        ("a.md", b"caption", 422),
    ],
)
def test_caption_alone_and_what_is_none_is_refused(api, photo, name, content, status):
    answer = api.call("POST", "/tunes", data=form((name, content)))
    assert answer.status_code == status
    assert [*answer.json] == ["images"]


def test_caption_goes_with_its_tune(api, photo):
    given = form(("tom.jpg", photo()), ("tom.txt", b"a very special cat"))
    tune = api.call("POST", "/tunes", data=given).json
    api.finish()
    files = api.client.application.services.files
    [key] = api.client.application.services.store.get("tune", tune["id"])["caption_keys"]
    assert files.get(key).content == b"a very special cat"
    api.call("DELETE", f"/tunes/{tune['id']}")
    assert files.get(key) is None
