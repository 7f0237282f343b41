"""Files: pictures of the size asked for, uploads as they came, addresses of the service's shape."""

import json
import re
import struct
from base64 import b64encode
from io import BytesIO
from urllib.parse import urlsplit

import pytest
from PIL import Image

KEY = re.compile(r"/[0-9a-z]{28}")


def fetch(api, url):
    answer = api.client.get(url)
    assert answer.status_code == 200, url
    return answer


def picture_of(api, tune_id, **attributes):
    """The first finished picture of a prompt with these attributes."""
    prompt = api.prompt(tune_id, num_images=1, **attributes)
    api.finish()
    return fetch(api, api.get(f"/prompts/{prompt['id']}")["images"][0])


# -- addresses -------------------------------------------------------------------------------------
def test_every_files_address_has_the_services_shape(api, photo):
    tune = api.tune(image_urls=["https://example.com/1.jpg", "https://example.com/2.jpg"])
    data = {
        "prompt[text]": "a",
        "prompt[input_image]": (BytesIO(photo()), "in.png"),
        "prompt[mask_image]": (BytesIO(photo("white")), "mask.png"),
    }
    made = api.post(f"/tunes/{tune['id']}/prompts", data=data)
    api.finish()
    tune, prompt = api.get(f"/tunes/{tune['id']}"), api.get(f"/prompts/{made['id']}")
    urls = [*tune["orig_images"], tune["ckpt_url"], *prompt["images"]]
    urls += [prompt["input_image"], prompt["mask_image"]]
    assert len(set(urls)) == 2 + 1 + 4 + 2
    for url in urls:
        assert KEY.fullmatch(urlsplit(url).path), url
        assert url.startswith("http://localhost/")
        assert fetch(api, url).data


@pytest.mark.parametrize("path", ["/" + "0" * 28, "/" + "A" * 28, "/abc", "/" + "0" * 29])
def test_unknown_file_is_not_found(api, path):
    answer = api.client.get(path)
    assert (answer.status_code, answer.json) == (404, {"status": 404, "error": "Not Found"})


# -- pictures --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("tune_id", "given", "size"),
    [
        (690204, {}, (512, 512)),
        (690204, {"w": 320, "h": 448}, (320, 448)),
        (690204, {"w": 256, "h": 256, "super_resolution": True}, (1024, 1024)),
        (690204, {"w": 64, "h": 128, "aspect_ratio": "16:9"}, (64, 128)),
        (666678, {}, (1024, 1024)),
        (1504944, {"resolution": "1K"}, (1024, 1024)),
        (690204, {"resolution": "1K"}, (1024, 1024)),
    ],
)
def test_picture_is_a_jpeg_of_the_size_asked_for(api, tune_id, given, size):
    answer = picture_of(api, tune_id, **given)
    assert answer.content_type == "image/jpeg"
    with Image.open(BytesIO(answer.data)) as image:
        image.load()
        assert (image.format, image.size) == ("JPEG", size)


@pytest.mark.parametrize(
    "attribute", [{"ar": "16:9"}, {"ar": "portrait"}, {"ar": "landscape"}]
    + [{"aspect_ratio": ratio} for ratio in ("16:9", "9:16", "21:9", "3:2", "4:5", "3:4", "1:1")]
)  # fmt: skip
def test_picture_has_the_aspect_ratio_on_the_branchs_area(api, attribute):
    [ratio] = attribute.values()
    across, down = {"portrait": (4, 5), "landscape": (5, 4)}.get(ratio) or map(
        int, ratio.split(":")
    )
    with Image.open(BytesIO(picture_of(api, 690204, **attribute).data)) as image:
        width, height = image.size
    assert width % 8 == height % 8 == 0
    assert width / height == pytest.approx(across / down, rel=0.03)
    assert width * height == pytest.approx(512 * 512, rel=0.05)


def test_aspect_ratio_wins_over_its_older_form(api):
    answer = picture_of(api, 690204, ar="16:9", aspect_ratio="9:16")
    with Image.open(BytesIO(answer.data)) as image:
        assert image.size[0] < image.size[1]


def test_pictures_of_a_prompt_differ_from_each_other_and_from_another_seeds(api):
    prompts = [api.prompt(690204, num_images=2, seed=seed, w=128, h=128) for seed in (1, 2)]
    api.finish()
    urls = [url for prompt in prompts for url in api.get(f"/prompts/{prompt['id']}")["images"]]
    assert len({fetch(api, url).data for url in urls}) == 4


# -- HTTP ------------------------------------------------------------------------------------------
def test_file_has_an_etag_and_answers_304_to_it(api):
    prompt = api.prompt(690204, num_images=1, w=64, h=64)
    api.finish()
    [url] = api.get(f"/prompts/{prompt['id']}")["images"]
    first = fetch(api, url)
    etag = first.headers["ETag"]
    assert "immutable" in first.headers["Cache-Control"]
    for sent in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = api.client.get(url, headers={"If-None-Match": sent})
        assert (again.status_code, again.data) == (304, b""), sent
        assert again.headers["ETag"] == etag
    other = api.client.get(url, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.data) == (200, first.data)


@pytest.mark.parametrize(
    ("sent", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=5-", slice(5, None)),
        ("bytes=-4", slice(-4, None)),
    ],
)
def test_range_gives_a_part_of_a_file(api, sent, part):
    url = api.tune()["orig_images"][0]
    whole = fetch(api, url)
    assert whole.headers["Accept-Ranges"] == "bytes"
    answer = api.client.get(url, headers={"Range": sent})
    assert (answer.status_code, answer.data) == (206, whole.data[part])
    assert answer.headers["Content-Range"].endswith(f"/{len(whole.data)}")


def test_range_beyond_the_end_is_refused(api):
    url = api.tune()["orig_images"][0]
    answer = api.client.get(url, headers={"Range": "bytes=999999999-"})
    assert answer.status_code == 416


def test_file_is_read_without_a_key_and_does_not_move_the_clock(api):
    [url] = api.tune()["orig_images"]
    before = api.client.get("/_emulator/clock").json
    assert fetch(api, url).data
    assert api.client.get("/_emulator/clock").json == before


def test_file_cannot_act_as_a_page_of_this_server(api):
    [url] = api.tune()["orig_images"]
    headers = fetch(api, url).headers
    policy = [part.split() for part in headers["Content-Security-Policy"].split(";")]
    assert policy == [
        ["sandbox", "allow-same-origin"],
        ["default-src", "'none'"],
        ["img-src", "'self'"],
        ["media-src", "'self'"],
        ["style-src", "'unsafe-inline'"],
    ]
    assert headers["X-Content-Type-Options"] == "nosniff"


# -- uploads ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "tail", [b"\x00\xff\r\n--boundary\r\n", b"GIF89a" + bytes(range(256)), b"x" * 100_000]
)
def test_upload_is_kept_byte_for_byte(api, photo, tail):
    raw, other = photo() + tail, photo("red") + tail[::-1]
    data = {
        "tune[title]": "t",
        "tune[name]": "man",
        "tune[branch]": "fast",
        "tune[images][]": [
            (BytesIO(raw), "1.gif", "image/gif"),
            (BytesIO(other), "tune[images][]"),
        ],
    }
    tune = api.post("/tunes", data=data)
    answers = [fetch(api, url) for url in tune["orig_images"]]
    assert [answer.data for answer in answers] == [raw, other]
    assert answers[0].content_type == "image/gif"


@pytest.mark.parametrize("name", ["input_image", "mask_image", "input_video"])
def test_prompts_input_is_kept_byte_for_byte(api, photo, name):
    raw = photo("purple")
    data = {"prompt[text]": "a", f"prompt[{name}]": (BytesIO(raw), "a.jpg")}
    prompt = api.post("/tunes/690204/prompts", data=data)
    assert fetch(api, prompt[name]).data == raw
    assert fetch(api, prompt[name]).content_type == "image/jpeg"


def test_input_image_may_be_a_data_url(api, photo):
    text = f"data:image/png;base64,{b64encode(photo()).decode()}"
    prompt = api.prompt(690204, input_image_base64=text)
    answer = fetch(api, prompt["input_image"])
    assert (answer.data, answer.content_type) == (photo(), "image/png")


def test_picture_given_by_address_is_shown_as_a_card(api):
    tune = api.tune(image_urls=["https://example.com/1.jpg", "https://example.com/2.jpg"])
    cards = [fetch(api, url) for url in tune["orig_images"]]
    assert [card.content_type for card in cards] == ["image/jpeg"] * 2
    assert cards[0].data != cards[1].data
    with Image.open(BytesIO(cards[0].data)) as image:
        assert image.format == "JPEG"


# -- weights ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "kind", [{"branch": "fast"}, {"branch": "sdxl1"}, {"branch": "sd15", "model_type": "lora"}]
)
def test_weights_are_a_valid_safetensors_file(api, kind):
    tune = api.tune(**kind)
    api.finish()
    raw = fetch(api, api.get(f"/tunes/{tune['id']}")["ckpt_url"]).data
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    metadata = header.pop("__metadata__")
    assert metadata["tune_id"] == str(tune["id"])
    assert all(isinstance(value, str) for value in metadata.values())
    width = {"F32": 4, "F16": 2}
    end = 0
    for tensor in sorted(header.values(), key=lambda tensor: tensor["data_offsets"]):
        count = width[tensor["dtype"]]
        for side in tensor["shape"]:
            count *= side
        assert tensor["data_offsets"] == [end, end + count]
        end += count
    assert header
    assert len(raw) == 8 + size + end
