"""Bad input: each is refused with what is wrong, and nothing is stored."""

import struct
from base64 import b64encode
from io import BytesIO

import pytest
from urllib3 import encode_multipart_formdata

from tests.behaviour.bad_requests import refused

FILES = ("input_image", "mask_image", "video_first_frame", "video_last_frame")
TOO_MANY = {400: "must have at most 100 megapixels", 1: "must have at most 1 megapixels"}
NO_PICTURE = b"not a picture"
VIDEO = {"text": "a", "video_prompt": "b", "video_model": "seedance_480p"}


def png(width, height):
    """The first bytes of a PNG of this size, without its pixels."""
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + struct.pack(">II", width, height) + bytes(5)


BOMB = png(40_000, 40_000)


def tune_form(*images):
    parts = [(BytesIO(data), name, "image/jpeg") for name, data in images]
    return {"tune[title]": "t", "tune[name]": "man", "tune[images][]": parts}


# -- pictures --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("data", "message"),
    [(NO_PICTURE, "is not an image"), (BOMB, "must have at most 100 megapixels")],
)
def test_file_that_is_no_fit_picture_is_refused_under_its_field(api, photo, data, message):
    for path in ("/tunes", "/p/260/tunes"):
        form = tune_form(("1.jpg", photo()), ("2.jpg", data))
        assert refused(api, path, data=form) == {"images": [message]}
    for name in FILES:
        form = {"prompt[text]": "a", f"prompt[{name}]": (BytesIO(data), "a.jpg", "image/jpeg")}
        assert refused(api, "/tunes/690204/prompts", data=form) == {name: [message]}
        form |= {"prompt[tune_id]": "690204", f"prompt[{name}]": (BytesIO(data), "a.jpg")}
        assert refused(api, "/prompts", data=form) == {name: [message]}
    form = {f"prompt[{name}]": value for name, value in VIDEO.items()}
    form["prompt[image_references][]"] = [(BytesIO(photo()), "a"), (BytesIO(data), "b")]
    assert refused(api, "/tunes/690204/prompts", data=form) == {"image_references": [message]}
    form = {"name": "man", "file": (BytesIO(data), "a.jpg", "image/jpeg")}
    assert refused(api, "/images/inspect", data=form) == {"file": [message]}


@pytest.mark.parametrize(
    ("data", "message"),
    [(NO_PICTURE, "is not an image"), (BOMB, "must have at most 100 megapixels")],
)
def test_base64_text_that_is_no_fit_picture_is_refused(api, data, message):
    prompt = {
        "text": "a",
        "input_image_base64": f"data:image/png;base64,{b64encode(data).decode()}",
    }
    told = {"input_image_base64": [message]}
    assert refused(api, "/tunes/690204/prompts", json={"prompt": prompt}) == told
    original = api.prompt(690204)
    api.finish()
    path = f"/prompts/{original['id']}/duplicate"
    assert refused(api, path, json={"prompt": prompt}) == told
    nested = {"title": "t", "name": "man", "image_urls": ["https://example.com/1.jpg"]}
    told = {"prompts.input_image_base64": [message]}
    body = {"tune": {**nested, "prompts_attributes": [{"text": "b"}, prompt]}}
    assert refused(api, "/tunes", json=body) == told
    told = {"prompt_attributes.input_image_base64": [message]}
    body = {"tune": {**nested, "prompt_attributes": prompt}}
    assert refused(api, "/p/260/tunes", json=body) == told


def test_every_field_with_a_bad_picture_is_named(api, photo):
    data = {
        **tune_form(("1.jpg", NO_PICTURE)),
        "tune[prompts_attributes][][text]": "a",
        "tune[prompts_attributes][][input_image]": (BytesIO(BOMB), "a"),
        "tune[prompts_attributes][][mask_image]": (BytesIO(photo()), "a"),
    }
    assert refused(api, "/tunes", data=data) == {
        "images": ["is not an image"],
        "prompts.input_image": ["must have at most 100 megapixels"],
    }


def test_file_that_is_not_used_does_not_matter(api, photo):
    """A file wins over base64 text."""
    form = {
        "prompt[text]": "a",
        "prompt[input_image]": (BytesIO(photo()), "a.jpg"),
        "prompt[input_image_base64]": f"data:image/png;base64,{b64encode(NO_PICTURE).decode()}",
    }
    made = api.post("/tunes/690204/prompts", data=form)
    assert api.client.get(made["input_image"]).data == photo()


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream", "video/mp4"])
def test_picture_is_known_by_its_content(api, photo, kind):
    data = {"prompt[text]": "a", "prompt[input_image]": (BytesIO(photo()), "a.exe", kind)}
    made = api.post("/tunes/690204/prompts", data=data)
    assert api.client.get(made["input_image"]).content_type.partition(";")[0] == kind


@pytest.mark.parametrize("name", ["input_video", "audio_reference"])
def test_video_and_sound_are_not_looked_at(api, name):
    form = {"prompt[text]": "a", f"prompt[{name}]": (BytesIO(NO_PICTURE), "a.bin")}
    made = api.post("/tunes/690204/prompts", data=form)
    if name in made:
        assert api.client.get(made[name]).data == NO_PICTURE


def test_picture_may_be_as_large_as_the_settings_say(make_api):
    api = make_api(max_megapixels=1)
    assert api.post("/tunes", data=tune_form(("1.png", png(1000, 1000))))
    api.finish()
    told = {"images": ["must have at most 1 megapixels"]}
    assert refused(api, "/tunes", data=tune_form(("1.png", png(1000, 1001)))) == told


# -- too large -------------------------------------------------------------------------------------
@pytest.mark.parametrize("place", ["tune", "prompt", "video", "base64", "text"])
def test_file_that_is_larger_than_the_limit_is_refused(make_api, photo, place):
    api = make_api(max_file_mb=1)
    data = photo() + bytes(1_000_001 - len(photo()))
    told = {"status": 413, "error": "Payload Too Large"}
    if place == "base64":
        text = f"data:image/jpeg;base64,{b64encode(data).decode()}"
        sent = {"json": {"prompt": {"text": "a", "input_image_base64": text}}}
    else:
        file = ("a.jpg", data)
        fields = {
            "tune": {"tune[title]": "t", "tune[name]": "man", "tune[images][]": file},
            "prompt": {"prompt[text]": "a", "prompt[input_image]": file},
            "video": {"prompt[text]": "a", "prompt[input_video]": file},
            "text": {"prompt[text]": "a" * 1_000_001},
        }[place]
        body, kind = encode_multipart_formdata(fields)
        sent = {"data": body, "content_type": kind}
    path = "/tunes" if place == "tune" else "/tunes/690204/prompts"
    assert refused(api, path, 413, **sent) == told
