"""Files that are given by address: shown as a card, or fetched where that is asked for."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import Any

import pytest

from astria_emulator.mock.drawing import clip
from astria_emulator.objects import fetching
from tests import PATIENCE_SECONDS
from tests.listeners import listening

ALWAYS = {"assume": ("fetching=always",)}
PICTURES = ("input_image", "mask_image", "video_first_frame", "video_last_frame")
VIDEO = {"text": "a", "video_prompt": "b", "video_model": "seedance_480p"}
REFERRING = {**VIDEO, "video_model": "seedance2_fast_720p"}
REFUSED = ["could not be fetched"]


class Site:
    """Serves files on loopback, and tells what was asked for."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, tuple[str, bytes]] = {}
        self.asked: list[str] = []
        self.before: Callable[[], object] = lambda: None

    def put(self, name: str, data: bytes, kind: str = "image/jpeg") -> str:
        self.files[f"/{name}"] = kind, data
        return f"{self.url}/{name}?key=secret"


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            found.before()
            kind, data = found.files.get(self.path.partition("?")[0], ("", b""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None: ...

    with listening(Handler) as found.url:
        yield found


@pytest.fixture
def fetching_api(make_api: Callable[..., Any]) -> Any:
    return make_api(**ALWAYS)


def shown(api: Any, url: str) -> tuple[str, bytes]:
    answer = api.client.get(url)
    assert answer.status_code == 200
    return answer.content_type, answer.data


def kept(api: Any, prompt: Any, name: str) -> Any:
    """Type and bytes of a prompt's file, or of each in a list."""
    services = api.client.application.services
    keys = services.store.get("prompt", prompt["id"])["files"][name]
    files = [services.files.get(key) for key in ([keys] if isinstance(keys, str) else keys)]
    found = [(file.content_type, file.content) for file in files]
    return found[0] if isinstance(keys, str) else found


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
