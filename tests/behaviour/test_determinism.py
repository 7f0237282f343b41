"""The same history gives the same bytes; another seed gives other pictures."""

import json
from io import BytesIO

import pytest

NESTED = [{"text": "a {{eye_color}}", "num_images": 2}, {"text": "b", "w": 128, "h": 64}]


def history(api, photo, callback):
    """Calls of every kind; every answer, callback body and file as bytes, in order."""
    answers = []

    def call(method, path, **kwargs):
        answer = api.call(method, path, **kwargs)
        answers.append((path, answer.status_code, answer.data, answer.content_type))
        return answer.json

    data = {
        "tune[title]": "Jane",
        "tune[name]": "woman",
        "tune[branch]": "fast",
        "tune[callback]": f"{callback}/tune",
        "tune[images][]": [(BytesIO(photo("red")), "1.jpg")],
        "tune[prompts_attributes]": json.dumps(
            [{**prompt, "callback": f"{callback}/prompt"} for prompt in NESTED]
        ),
        "tune[characteristics]": '{"eye_color": "blue eyes"}',
    }
    tune = call("POST", "/tunes", data=data)
    flux = {"title": "L", "name": "woman", "image_urls": ["https://example.com/1.jpg"]}
    lora = call("POST", "/tunes", json={"tune": {**flux, "branch": "flux1"}})
    small = {"w": 64, "h": 64, "num_images": 1}
    call("POST", f"/tunes/{lora['id']}/prompts", json={"prompt": {"text": "c", **small}})
    call("POST", "/tunes/99/prompts", json={"prompt": {"text": "c"}})
    run = {"tune_ids": [lora["id"]], "prompts_callback": f"{callback}/run"}
    call("POST", "/p/260/tunes", json={"tune": {**run, "prompt_attributes": small}})
    video = {"text": "d", "video_model": "seedance2_fast_720p", "video_prompt": "waves"}
    call("POST", "/tunes/3618064/prompts", json={"prompt": {**video, "num_images": 1}})
    call("POST", "/workspaces", json={"workspace": {"title": "W"}})
    call("POST", "/images/inspect", json={"name": "man", "file_url": "https://example.com/1.jpg"})
    api.finish()
    for path in (
        "/tunes",
        "/prompts",
        f"/tunes/{tune['id']}",
        "/users",
        "/p/260",
        "/gallery/tunes",
    ):
        call("GET", path)
    prompts = api.get("/prompts")
    tunes = api.get("/tunes")
    urls = [url for prompt in prompts for url in prompt["images"]]
    urls += [url for made in tunes for url in (*made["orig_images"], *made["ckpt_urls"])]
    files = [(url, api.client.get(url).data) for url in urls]
    log = api.client.get("/_emulator/callbacks").json
    sent = sorted((entry["url"], json.dumps(entry["body"])) for entry in log)
    return answers, sent, files


def test_same_seed_and_calls_give_the_same_answers_callbacks_and_files(make_api, photo, receiver):
    first, second = (history(make_api(seed=3), photo, receiver.url) for _ in range(2))
    assert first[0] == second[0]
    assert first[1] == second[1]
    assert first[2] == second[2]
    assert len(first[1]) == 4
    assert len(first[2]) == 13
    half = len(receiver.received) // 2
    bodies = [
        sorted(map(str, part)) for part in (receiver.received[:half], receiver.received[half:])
    ]
    assert bodies[0] == bodies[1]


def test_history_after_a_reset_differs_in_nothing_but_time(make_api, photo, receiver):
    api = make_api()
    files = []
    for _ in range(2):
        files.append([data for _, data in history(api, photo, receiver.url)[2]])
        api.client.post("/_emulator/reset")
    assert files[0] == files[1]


def picture(api, **attributes):
    prompt = api.prompt(690204, num_images=1, w=128, h=128, **attributes)
    api.finish()
    [url] = api.get(f"/prompts/{prompt['id']}")["images"]
    return url, api.client.get(url).data


def test_another_seed_gives_other_pictures_and_other_addresses(make_api):
    (url, data), (other_url, other_data) = (picture(make_api(seed=seed)) for seed in (1, 2))
    assert url != other_url
    assert data != other_data


def test_prompts_own_seed_decides_its_pictures_whatever_the_servers(make_api):
    (_, data), (_, other_data) = (picture(make_api(seed=seed), seed=42) for seed in (1, 2))
    assert data == other_data


def test_equal_prompts_of_one_seed_have_equal_pictures(api):
    (url, data), (other_url, other_data) = (picture(api, seed=42) for _ in range(2))
    assert url != other_url
    assert data == other_data


@pytest.mark.parametrize("change", [{"seed": 43}, {"text": "another text"}])
def test_another_prompt_gives_other_pictures(make_api, change):
    given = {"seed": 42, "text": "a text"}
    (_, data), (_, other_data) = (
        picture(make_api(), **given),
        picture(make_api(), **{**given, **change}),
    )
    assert data != other_data


def test_file_is_the_same_every_time_it_is_fetched(api):
    url, data = picture(api)
    for _ in range(40):  # more pictures than are remembered
        picture(api)
    assert api.client.get(url).data == data


def test_address_never_shows_two_things_even_after_a_reset(api, photo):
    """A cache may keep it for ever."""
    urls = []
    for colour in ("red", "blue", "red"):
        data = {"tune[title]": "t", "tune[name]": "man"}
        data["tune[images][]"] = (BytesIO(photo(colour)), "1.jpg")
        tune = api.post("/tunes", data=data)
        urls += tune["orig_images"]
        api.client.post("/_emulator/reset")
    assert urls[0] == urls[2]
    assert urls[0] != urls[1]
