"""Videos: which models take what, and what comes of it."""

import pytest

FRAME = {"video_first_frame_url": "https://example.com/first.jpg"}
LAST = {"video_last_frame_url": "https://example.com/last.jpg"}
REFERENCES = {"image_reference_urls": ["https://example.com/1.jpg", "https://example.com/2.jpg"]}
MOTION = {"input_video_url": "https://example.com/dance.mp4"}
TEXT_MODEL, FRAME_MODEL = "seedance2_fast_720p", "seedance_480p"


def created(api, **attributes):
    prompt = {"video_prompt": "she turns around", **attributes}
    return api.call("POST", "/tunes/3618064/prompts", json={"prompt": prompt})


def test_video_prompt_shows_its_video_attributes(api):
    prompt = created(api, text="a", video_model=TEXT_MODEL, video_duration=5).json
    assert {key: prompt[key] for key in ("video_model", "video_prompt", "video_duration")} == {
        "video_model": TEXT_MODEL,
        "video_prompt": "she turns around",
        "video_duration": 5,
    }


@pytest.mark.parametrize("count", [1, 3])
def test_video_prompt_ends_with_mp4_files(api, count):
    prompt = created(api, text="a", video_model=TEXT_MODEL, num_images=count).json
    api.finish()
    images = api.get(f"/prompts/{prompt['id']}")["images"]
    assert len(set(images)) == count
    for url in images:
        answer = api.client.get(url)
        assert answer.content_type == "video/mp4"
        assert answer.data[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a woman --video --video_prompt she waves",
            {"video_model": TEXT_MODEL, "video_prompt": "she waves", "video_duration": None},
        ),
        (
            'a woman --video_model wan22_720p --video_prompt "she waves --fast" --duration 5',
            {
                "video_model": "wan22_720p",
                "video_prompt": "she waves --fast",
                "video_duration": 5,
            },
        ),
    ],
)
def test_video_flags_in_the_text_stand_for_attributes(api, text, expected):
    prompt = api.prompt(3618064, text, num_images=1)
    assert {key: prompt.get(key) for key in expected} == expected
    api.finish()
    [url] = api.get(f"/prompts/{prompt['id']}")["images"]
    assert api.client.get(url).content_type == "video/mp4"


def test_video_attribute_wins_over_the_flag(api):
    text = "a --video --video_prompt flagged --duration 9"
    prompt = created(api, text=text, video_prompt="given", video_duration=4).json
    assert (prompt["video_prompt"], prompt["video_duration"]) == ("given", 4)


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ({"video_model": TEXT_MODEL, "video_prompt": None}, {"video_prompt": ["can't be blank"]}),
        ({"video_model": "vhs"}, {"video_model": ["is not included in the list"]}),
        ({"text": None, "video_model": FRAME_MODEL}, {"text": ["can't be blank"]}),
        (
            {"video_model": TEXT_MODEL, "video_duration": 3},
            {"video_duration": ["is not included in the list"]},
        ),
        (
            {"video_model": "wan25_720p", "video_duration": 6},
            {"video_duration": ["is not included in the list"]},
        ),
        (
            {"video_model": TEXT_MODEL, "video_duration": 21},
            {"video_duration": ["must be less than or equal to 20"]},
        ),
        (
            {"video_model": FRAME_MODEL, **REFERENCES},
            {"image_references": ["not supported by this video model"]},
        ),
        ({"video_model": "wan_animate_720p"}, {"input_video": ["is missing"]}),
        (
            {"video_model": TEXT_MODEL, **FRAME, **REFERENCES},
            {"base": ["First and last frames cannot be combined with references"]},
        ),
        (
            {"video_model": TEXT_MODEL, **LAST, **MOTION},
            {"base": ["First and last frames cannot be combined with references"]},
        ),
        (REFERENCES, {"image_references": ["only for videos"]}),
    ],
)
def test_video_is_refused_for_what_its_model_does_not_take(api, given, messages):
    answer = created(api, **{"text": "a", **given})
    assert (answer.status_code, answer.json) == (422, messages)
    assert api.get("/prompts") == []


@pytest.mark.parametrize(
    "given",
    [
        {"video_model": TEXT_MODEL, "video_duration": 4},
        {"video_model": TEXT_MODEL, "video_duration": 15},
        {"video_model": FRAME_MODEL, **FRAME, "video_duration": 2},
        {"video_model": FRAME_MODEL, "text": "a"},
        {"video_model": "wan_animate_720p", **MOTION, "video_duration": 10},
        {"video_model": TEXT_MODEL, **FRAME, **LAST},
        {"video_model": TEXT_MODEL, **REFERENCES},
    ],
)
def test_video_is_accepted_with_what_its_model_takes(api, given):
    assert created(api, **given).status_code == 201


def test_image_references_are_stored_in_order(api):
    prompt = created(api, video_model=TEXT_MODEL, **REFERENCES).json
    assert len(set(prompt["image_references"])) == 2
    pictures = [api.client.get(url).data for url in prompt["image_references"]]
    swapped = REFERENCES["image_reference_urls"][::-1]
    other = created(api, video_model=TEXT_MODEL, image_reference_urls=swapped).json
    assert [api.client.get(url).data for url in other["image_references"]] == pictures[::-1]


def test_video_of_a_lora_names_it_and_moves_to_the_base(api, lora):
    given = {"video_model": TEXT_MODEL, "video_prompt": "turns", "text": "a"}
    prompt = api.post(f"/tunes/{lora['id']}/prompts", {"prompt": given})
    assert prompt["tune_id"] == 1504944
    assert prompt["tunes"][0]["id"] == lora["id"]


def test_model_list_names_the_models_and_no_version_of_the_command_line(api):
    models = api.client.get("/cli/models").json
    assert {"cli", "skills"}.isdisjoint(models)
    assert models["default"] in models["models"]
    assert models["default_video_model"] in models["video_models"]
    for model in models["models"].values():
        assert api.get(f"/tunes/{model['tune_id']}")["id"] == model["tune_id"]
    assert models["video_models"]["wan25_720p"]["durations"] == [5, 10]
    assert models["video_models"]["wan_animate_720p"]["requires_input_video"] is True


def test_every_listed_video_model_makes_a_video(api):
    for name, model in api.client.get("/cli/models").json["video_models"].items():
        given = MOTION if model["requires_input_video"] else {"text": "a"}
        assert created(api, video_model=name, **given).status_code == 201, name
