"""What is not fetched, and what fetching holds up."""

import json
from io import BytesIO
from typing import Any

import pytest

from astria_emulator.objects import fetching
from tests.behaviour.fetching_cases import ALWAYS, REFERRING, shown

REFUSED = ["could not be fetched"]


def refused(api: Any, path: str, body: Any) -> Any:
    """The messages of a request that stores nothing."""

    def stored() -> Any:
        return [api.get(path) for path in ("/tunes", "/prompts", "/_emulator/jobs")]

    api.finish()
    before = stored()
    answer = api.call("POST", path, json=body)
    assert answer.status_code == 422, answer.text
    assert stored() == before
    return answer.json


# -- files of this server --------------------------------------------------------------------------
def test_own_file_is_kept_anew_without_asking_for_it(fetching_api, photo, monkeypatch):
    monkeypatch.setattr(fetching.door, "fetch", None)
    data = {"tune[title]": "t", "tune[name]": "man", "tune[images][]": (BytesIO(photo()), "a.jpg")}
    [upload] = fetching_api.call("POST", "/tunes", data=data).json["orig_images"]
    first = fetching_api.prompt(690204, input_image_url=upload)
    fetching_api.finish()
    [drawn] = fetching_api.get(f"/prompts/{first['id']}")["images"][:1]
    second = fetching_api.prompt(690204, input_image_url=drawn)
    for given, kept_at in ((upload, first["input_image"]), (drawn, second["input_image"])):
        assert given != kept_at
        assert shown(fetching_api, given) == shown(fetching_api, kept_at)
        body = {"name": "man", "file_url": given}
        assert fetching_api.call("POST", "/images/inspect", json=body).status_code == 200


def test_own_file_that_is_gone_is_refused(fetching_api, caplog):
    caplog.set_level("INFO")
    body = {"prompt": {"text": "a", "input_image_url": "http://localhost/" + "a" * 28}}
    found = refused(fetching_api, "/tunes/690204/prompts", body)
    assert found == {"input_image_url": REFUSED}
    assert "there is no such file here" in caplog.text


# -- the store is free meanwhile -------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "name", "body"),
    [
        ("/tunes", "tune", {"title": "t", "name": "man", "image_urls": ["{}"]}),
        ("/tunes/690204/prompts", "prompt", {"text": "a", "input_image_url": "{}"}),
        ("/p/260/tunes", "tune", {"title": "t", "name": "man", "image_urls": ["{}"]}),
    ],
)
def test_others_are_answered_while_a_file_is_waited_for(
    fetching_api, site, photo, path, name, body
):
    answers: list[int] = []
    other = fetching_api.client.application.test_client()
    headers = {"Authorization": "Bearer sd_other"}
    tune = {"tune": {"title": "t", "name": "man", "image_urls": [site.put("2.jpg", photo("red"))]}}

    def ask() -> None:
        site.before = lambda: None
        answers.append(other.get("/tunes", headers=headers).status_code)
        answers.append(other.post("/tunes", json=tune, headers=headers).status_code)

    site.before = ask
    url = site.put("1.jpg", photo())
    given = json.loads(json.dumps(body).replace("{}", url))
    assert fetching_api.call("POST", path, json={name: given}).status_code == 201
    assert answers == [200, 201]


# -- what cannot be fetched ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("{}/none.jpg?key=secret", "{}/none.jpg: answered 404"),
        ("http://u:secret@169.254.169.254/a?secret", "169.254.169.254/a: blocked: 169.254.169.254"),
        ("http://8.8.8.8/a?secret#secret", "8.8.8.8/a: blocked: 8.8.8.8 is public; --fetch-hosts "),
        ("http://127.0.0.1:0/?secret", "an address that cannot be read: blocked: "),
        ("https://127.0.0.1:1/a?secret", "127.0.0.1:1/a: ConnectionRefusedError: "),
    ],
)
def test_tune_is_refused_when_a_picture_cannot_be_fetched(
    fetching_api, site, photo, url, why, caplog
):
    caplog.set_level("DEBUG")
    urls = [site.put("1.jpg", photo()), url.replace("{}", site.url)]
    tune = {"title": "t", "name": "man", "image_urls": urls}
    assert refused(fetching_api, "/tunes", {"tune": tune}) == {"image_urls": REFUSED}
    [told] = [text for text in caplog.messages if "refused" in text]
    place = why.replace("{}", site.url.removeprefix("http://"))
    assert told.startswith(f"create_tune refused: image_urls could not be fetched ({place}")
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("path", "body", "messages"),
    [
        (
            "/tunes",
            {"tune": {"title": "t", "name": "man", "image_urls": ["{}"], "prompts_attributes": [
                {"text": "a", "input_image_url": "{}"}]}},
            {"image_urls": REFUSED, "prompts.input_image_url": REFUSED},
        ),
        (
            "/tunes/690204/prompts",
            {"prompt": {"text": "a", "input_image_url": "{}", "mask_image_url": "{}"}},
            {"input_image_url": REFUSED, "mask_image_url": REFUSED},
        ),
        (
            "/prompts",
            {"prompt": {"tune_id": 3618064, **REFERRING, "image_reference_urls": ["{}", "{}2"]}},
            {"image_reference_urls": REFUSED},
        ),
        (
            "/p/260/tunes",
            {"tune": {"title": "t", "name": "man", "image_urls": ["{}"],
                      "prompt_attributes": {"input_image_url": "{}"}}},
            {"image_urls": REFUSED, "prompt_attributes.input_image_url": REFUSED},
        ),
        ("/images/inspect", {"name": "man", "file_url": "{}"}, {"file_url": REFUSED}),
    ],
)  # fmt: skip
def test_refusal_names_each_field_and_stores_nothing(fetching_api, site, path, body, messages):
    given = json.loads(json.dumps(body).replace("{}", f"{site.url}/none"))
    assert refused(fetching_api, path, given) == messages


def test_fetched_file_that_is_no_picture_is_refused_under_its_field(fetching_api, site, photo):
    good, bad = site.put("1.jpg", photo()), site.put("2.jpg", b"<html>", "image/jpeg")
    nested = [{"text": "a", "input_image_url": bad}, {"text": "b", "input_image_url": good}]
    tune = {"title": "t", "name": "man", "image_urls": [good, bad], "prompts_attributes": nested}
    told = ["is not an image"]
    messages = refused(fetching_api, "/tunes", {"tune": tune})
    assert messages == {"image_urls": told, "prompts.input_image_url": told}
    body = {"name": "man", "file_url": bad}
    assert refused(fetching_api, "/images/inspect", body) == {"file_url": told}


def test_fetched_file_is_no_larger_than_a_file_may_be(make_api, site, photo):
    api = make_api(**ALWAYS, max_file_mb=1)
    urls = [site.put("1.jpg", photo() + bytes(1_000_000))]
    tune = {"title": "t", "name": "man", "image_urls": urls}
    assert refused(api, "/tunes", {"tune": tune}) == {"image_urls": REFUSED}


def test_files_of_one_request_are_no_larger_than_it_may_be(make_api, site, photo):
    api = make_api(**ALWAYS, max_body_mb=1)
    padded = photo() + bytes(600_000)
    urls = [site.put(name, padded) for name in "ab"]
    api.tune(image_urls=urls[:1])
    tune = {"title": "t", "name": "man", "image_urls": urls}
    assert refused(api, "/tunes", {"tune": tune}) == {"image_urls": REFUSED}


def test_files_of_one_request_take_no_longer_than_it_may(
    fetching_api, site, photo, monkeypatch, caplog
):
    caplog.set_level("INFO")
    monkeypatch.setattr(fetching, "REQUEST_SECONDS", 0)
    tune = {"title": "t", "name": "man", "image_urls": [site.put("1.jpg", photo())]}
    assert refused(fetching_api, "/tunes", {"tune": tune}) == {"image_urls": REFUSED}
    assert "1 addresses took longer than 0 s" in caplog.text
    assert site.asked == []


def test_log_shows_some_of_many_reasons(fetching_api, caplog):
    caplog.set_level("INFO")
    urls = [f"http://127.0.0.1:0/{at}" for at in range(1000)]
    tune = {"title": "t", "name": "man", "image_urls": urls}
    assert refused(fetching_api, "/tunes", {"tune": tune}) == {"image_urls": REFUSED}
    assert max(map(len, caplog.messages)) < 2000


@pytest.mark.parametrize("assume", [(), ("fetching=always",)])
@pytest.mark.parametrize(
    "url", ["1.jpg", "ftp://a.test/1.jpg", "http://", "http:// a", "http://a.test/\u00e9", "", 5]
)
def test_what_cannot_be_an_address_is_refused_by_the_contract(make_api, site, url, assume):
    tune = {"title": "t", "name": "man", "image_urls": [f"{site.url}/1.jpg", url]}
    answer = make_api(assume=assume).call("POST", "/tunes", json={"tune": tune})
    if url == "":  # a blank is passed over, as Rails does
        assert answer.status_code == (422 if assume else 201)
        return
    assert (answer.status_code, answer.json) == (422, {"image_urls": ["is not a valid URL"]})
    assert site.asked == []
