"""Inspection: what a picture shows, the same each time."""

from io import BytesIO

import pytest

FLAGS = {
    "funny_face", "wearing_sunglasses", "wearing_hat", "blurry", "includes_multiple_people",
    "full_body_image_or_longshot", "selfie", "low_resolution", "low_quality",
}  # fmt: skip
# docs/api/4-images/1-inspect.md, 2026-08-21
LISTS = {
    "body_type": {"", "NONE", "slim body", "average body", "muscular body", "plussize body"},
    "ethnicity": {"", "NONE", "caucasian", "black", "hispanic", "korean", "japanese", "chinese",
                  "philippine", "asian", "indian", "arabic", "caribbean", "african"},
    "age": {"", "20 yo", "30 yo", "40 yo", "50 yo", "60 yo", "70 yo"},
    "glasses": {"", "NONE", "glasses"},
    "eye_color": {"", "NONE", "blue eyes", "brown eyes", "green eyes", "gray eyes", "black eyes"},
    "hair_color": {"", "NONE", "black hair", "brown hair", "blonde hair", "red hair", "grey hair",
                   "white hair", "brunette"},
    "hair_length": {"", "NONE", "bald", "short hair", "medium hair", "long hair",
                    "very long hair"},
    "hair_style": {"", "NONE", "bald head", "balding top", "straight hair", "wavy hair",
                   "curly hair", "afro", "dreadlocks", "cornrows", "slicked back", "comb over",
                   "receding hairline", "undercut", "man bun", "mohawk", "crew cut", "faux hawk",
                   "buzzcut"},
    "facial_hair": {"", "NONE", "mustache", "beard", "goatee"},
    "is_bald": {"", "NONE", "bald"},
    "headcover": {"", "NONE", "with head cover"},
}  # fmt: skip


def inspected(api, photo, name="man"):
    data = {"name": name, "file": (BytesIO(photo), "a.jpg")}
    answer = api.call("POST", "/images/inspect", data=data)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_inspection_shows_booleans_and_words_of_the_documented_lists(api, photo):
    for colour in ("red", "green", "blue", "white", "black", "teal", "gold", "navy"):
        found = inspected(api, photo(colour))
        assert set(found) == FLAGS | LISTS.keys() | {"name"}
        assert all(isinstance(found[flag], bool) for flag in FLAGS)
        assert all(found[trait] in options for trait, options in LISTS.items())


def test_inspection_is_the_same_every_time_and_in_every_application(api, make_api, photo):
    first = inspected(api, photo())
    assert inspected(api, photo()) == first
    assert inspected(make_api(seed=5), photo()) == first


def test_inspection_differs_between_pictures(api, photo):
    colours = ("red", "green", "blue", "white", "black", "teal")
    assert len({str(inspected(api, photo(colour))) for colour in colours}) > 1


@pytest.mark.parametrize("name", ["man", "woman", "cat"])
def test_inspection_names_the_class_asked_for(api, photo, name):
    assert inspected(api, photo(), name)["name"] == name


def test_inspection_of_a_thing_has_no_traits_of_people(api, photo):
    found = inspected(api, photo(), "car")
    assert set(found) <= FLAGS | {"name"}


@pytest.mark.parametrize(("side", "low"), [(64, True), (511, True), (512, False), (600, False)])
def test_small_picture_is_of_low_resolution(api, photo, side, low):
    assert inspected(api, photo("red", (700, side)))["low_resolution"] is low


@pytest.mark.parametrize("encoding", ["json", "data"])
def test_picture_is_inspected_by_its_address(api, encoding):
    body = {"name": "man", "file_url": "https://example.com/1.jpg"}
    answers = [api.call("POST", "/images/inspect", **{encoding: body}).json for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["name"] == "man"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"file_url": "https://example.com/1.jpg"}, {"name"}),
        ({"name": "man"}, {"file_url"}),
        ({"name": "man", "file_url": "1.jpg"}, {"file_url"}),
        ({}, {"name", "file_url"}),
    ],
)
def test_inspection_without_a_picture_or_a_class_is_refused(api, body, fields):
    answer = api.call("POST", "/images/inspect", json=body)
    assert (answer.status_code, set(answer.json)) == (422, fields)


def test_inspection_by_multipart_without_a_file_is_refused(api):
    data = {"name": "man", "x": (BytesIO(b"a"), "a.jpg")}
    answer = api.call("POST", "/images/inspect", data=data)
    assert (answer.status_code, answer.json) == (422, {"file": ["can't be blank"]})
