"""Files that are given by address: shown as a card, or fetched where that is asked for."""

import threading
from io import BytesIO
from typing import Any

import pytest

from astria_emulator.mock.drawing import clip
from tests import PATIENCE_SECONDS
from tests.behaviour.fetching_cases import REFERRING, VIDEO, shown

PICTURES = ("input_image", "mask_image", "video_first_frame", "video_last_frame")


def kept(api: Any, prompt: Any, name: str) -> Any:
    """Type and bytes of a prompt's file, or of each in a list."""
    services = api.client.application.services
    keys = services.store.get("prompt", prompt["id"])["files"][name]
    files = [services.files.get(key) for key in ([keys] if isinstance(keys, str) else keys)]
    found = [(file.content_type, file.content) for file in files]
    return found[0] if isinstance(keys, str) else found


# -- by default ------------------------------------------------------------------------------------
def test_nothing_is_fetched_by_default(api, site, photo):
    url = site.put("1.jpg", photo())
    tune = api.tune(image_urls=[url], prompts_attributes=[{"text": "a", "input_image_url": url}])
    prompt = api.prompt(tune["id"], input_image_url=url)
    api.prompt(3618064, **REFERRING, image_reference_urls=[url])
    api.call("POST", "/images/inspect", json={"name": "man", "file_url": url})
    api.finish()
    kind, card = shown(api, tune["orig_images"][0])
    assert (kind, card[:2], card == photo()) == ("image/jpeg", b"\xff\xd8", False)
    assert shown(api, prompt["input_image"]) == (kind, card)
    assert site.asked == []


# -- where it is asked for -------------------------------------------------------------------------
def test_training_pictures_are_fetched_and_kept_in_order(fetching_api, site, photo):
    pictures = {f"{colour}.jpg": photo(colour) for colour in ("red", "green", "blue")}
    urls = [site.put(name, data) for name, data in pictures.items()]
    tune = fetching_api.tune(image_urls=urls)
    fetching_api.finish()
    found = [shown(fetching_api, url) for url in tune["orig_images"]]
    assert found == [("image/jpeg", data) for data in pictures.values()]
    assert sorted(site.asked) == sorted(f"/{name}?key=secret" for name in pictures)


def test_uploads_come_before_what_is_fetched(fetching_api, site, photo):
    given = {
        "tune[title]": "Jane", "tune[name]": "woman", "tune[branch]": "fast",
        "tune[images][]": (BytesIO(photo("red")), "a.jpg"),
        "tune[image_urls][]": site.put("b.jpg", photo("blue")),
    }  # fmt: skip
    tune = fetching_api.call("POST", "/tunes", data=given).json
    found = [shown(fetching_api, url)[1] for url in tune["orig_images"]]
    assert found == [photo("red"), photo("blue")]


def test_four_pictures_are_fetched_at_a_time(fetching_api, site, photo):
    together = threading.Barrier(4, timeout=PATIENCE_SECONDS)
    site.before = together.wait
    urls = [site.put(f"{at}.jpg", photo()) for at in range(4)]
    assert len(fetching_api.tune(image_urls=urls)["orig_images"]) == 4


def test_address_is_fetched_once_for_a_request(fetching_api, site, photo):
    url = site.put("1.jpg", photo())
    nested = [{"text": text, "input_image_url": url} for text in "ab"]
    fetching_api.tune(image_urls=[url, url], prompts_attributes=nested)
    assert site.asked == ["/1.jpg?key=secret"]


@pytest.mark.parametrize("name", PICTURES)
def test_picture_of_a_prompt_is_fetched(fetching_api, site, photo, name):
    given = {**VIDEO, f"{name}_url": site.put("1.jpg", photo())}
    prompt = fetching_api.prompt(3618064, **given)
    assert kept(fetching_api, prompt, name) == ("image/jpeg", photo())
    fetching_api.finish()
    assert fetching_api.get(f"/prompts/{prompt['id']}")["images"]


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        ("input_video", "video/mp4", clip("1:1")),
        ("audio_reference", "audio/wav", b"RIFF\x24\0\0\0WAVEfmt "),
    ],
)
def test_video_and_sound_of_a_prompt_are_fetched(fetching_api, site, name, kind, data):
    prompt = fetching_api.prompt(3618064, **REFERRING, **{f"{name}_url": site.put("1", data, kind)})
    assert kept(fetching_api, prompt, name) == (kind, data)


def test_references_of_a_prompt_are_fetched_in_order(fetching_api, site, photo):
    urls = [site.put(colour, photo(colour)) for colour in ("red", "blue")]
    prompt = fetching_api.prompt(3618064, **REFERRING, image_reference_urls=urls)
    found = [data for _, data in kept(fetching_api, prompt, "image_references")]
    assert found == [photo("red"), photo("blue")]


def test_picture_of_a_nested_prompt_is_fetched(fetching_api, site, photo):
    nested = [{"text": "a", "input_image_url": site.put("2.jpg", photo("red"))}]
    tune = fetching_api.tune(image_urls=[site.put("1.jpg", photo())], prompts_attributes=nested)
    [prompt] = fetching_api.get(f"/tunes/{tune['id']}/prompts")
    assert shown(fetching_api, prompt["input_image"]) == ("image/jpeg", photo("red"))


def test_pictures_of_a_pack_run_are_fetched(fetching_api, site, photo):
    tune = {
        "title": "t", "name": "man", "image_urls": [site.put("1.jpg", photo())],
        "prompt_attributes": {"input_image_url": site.put("2.jpg", photo("red"))},
    }  # fmt: skip
    made = fetching_api.post("/p/260/tunes", {"tune": tune})
    assert shown(fetching_api, made["orig_images"][0])[1] == photo()
    prompts = fetching_api.get("/prompts")
    assert prompts
    for prompt in prompts:
        assert shown(fetching_api, prompt["input_image"])[1] == photo("red")
    assert len(site.asked) == 2


def test_picture_of_a_copy_is_fetched_in_place_of_the_original(fetching_api, site, photo):
    first = site.put("1.jpg", photo("red"))
    prompt = fetching_api.prompt(690204, input_image_url=first)
    changes = {"prompt": {"input_image_url": site.put("2.jpg", photo("blue"))}}
    copy = fetching_api.post(f"/prompts/{prompt['id']}/duplicate", changes)
    assert shown(fetching_api, copy["input_image"])[1] == photo("blue")
    same = fetching_api.post(f"/prompts/{prompt['id']}/duplicate", {})
    assert shown(fetching_api, same["input_image"])[1] == photo("red")
    assert len(site.asked) == 2


def test_inspected_picture_is_fetched(fetching_api, site, photo):
    body = {"name": "man", "file_url": site.put("1.jpg", photo("red", (600, 600)))}
    by_address = fetching_api.call("POST", "/images/inspect", json=body).json
    form = {"name": "man", "file": (BytesIO(photo("red", (600, 600))), "a.jpg")}
    assert by_address == fetching_api.call("POST", "/images/inspect", data=form).json


def test_upload_wins_over_an_address_which_is_not_asked_then(fetching_api, site, photo):
    given = {
        "prompt[text]": "a",
        "prompt[input_image]": (BytesIO(photo("red")), "a.jpg"),
        "prompt[input_image_url]": site.put("b.jpg", photo("blue")),
    }
    prompt = fetching_api.call("POST", "/tunes/690204/prompts", data=given).json
    assert shown(fetching_api, prompt["input_image"])[1] == photo("red")
    assert site.asked == []


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ("image/png; charset=x", "image/png"), ("", "application/octet-stream"),
        ("nonsense", "application/octet-stream"),
    ],
)  # fmt: skip
def test_type_is_as_the_other_side_tells_it(fetching_api, site, photo, sent, kind):
    site.files["/1"] = sent or " ", photo()
    prompt = fetching_api.prompt(690204, input_image_url=f"{site.url}/1")
    assert kept(fetching_api, prompt, "input_image")[0] == kind
