"""Themes: ten prompts a tune."""

import pytest


def themed(api, **theme):
    return api.call("POST", "/themes", json={"theme": {"theme": "Ski trip", **theme}})


def test_theme_answers_201_without_a_body(api):
    answer = themed(api, tune_ids=[api.tune()["id"]])
    assert (answer.status_code, answer.data) == (201, b"")


def test_theme_makes_ten_different_prompts_for_each_tune(api, lora):
    tunes = [api.tune()["id"], lora["id"]]
    assert themed(api, tune_ids=tunes).status_code == 201
    for id in tunes:
        texts = {prompt["text"] for prompt in api.get(f"/tunes/{id}/prompts")}
        assert len(texts) == 10
        assert all("Ski trip" in text and "ohwx woman" in text for text in texts)
    assert len(api.get("/prompts?limit=120")) == 20


def test_theme_on_a_lora_moves_its_prompts_to_the_base(api, lora):
    themed(api, tune_ids=[lora["id"]])
    prompts = api.get("/tunes/1504944/prompts")
    assert len(prompts) == 10
    assert all(prompt["text"].startswith(f"<lora:{lora['id']}:1> ") for prompt in prompts)


def test_themes_prompts_are_made(api):
    themed(api, tune_ids=[api.tune()["id"]], prompt_attributes={"num_images": 1})
    api.finish()
    assert [len(prompt["images"]) for prompt in api.get("/prompts")] == [1] * 10


@pytest.mark.parametrize(
    ("given", "count"),
    [({}, 4), ({"num_images": 2}, 2), ({"num_images": 8}, 8), ({"num_images": 123}, 8)],
)
def test_theme_clamps_the_number_of_pictures(api, given, count):
    themed(api, tune_ids=[api.tune()["id"]], prompt_attributes=given)
    assert {prompt["num_images"] for prompt in api.get("/prompts")} == {count}


def test_theme_passes_the_size_on(api):
    themed(api, tune_ids=[api.tune()["id"]], prompt_attributes={"w": 512, "h": 640})
    assert {(prompt["w"], prompt["h"]) for prompt in api.get("/prompts")} == {(512, 640)}


def test_unwrapped_theme_makes_the_same_prompts(make_api):
    texts = []
    for wrapped in (True, False):
        api = make_api()
        theme = {"theme": "Ski trip", "tune_ids": [api.tune()["id"]]}
        body = {"theme": theme} if wrapped else theme
        assert api.call("POST", "/themes", json=body).status_code == 201
        texts.append([prompt["text"] for prompt in api.get("/prompts")])
    assert texts[0] == texts[1]
    assert len(texts[0]) == 10


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ({"tune_ids": [99]}, {"tune_ids": ["must exist"]}),
        ({"tune_ids": [690204, 99]}, {"tune_ids": ["must exist"]}),
        ({}, {"tune_ids": ["can't be blank"]}),
        ({"theme": " ", "tune_ids": [690204]}, {"theme": ["can't be blank"]}),
        ({"theme": ""}, {"theme": ["can't be blank"], "tune_ids": ["can't be blank"]}),
    ],
)
def test_theme_is_refused_and_makes_nothing(api, given, messages):
    answer = themed(api, **given)
    assert (answer.status_code, answer.json) == (422, messages)
    assert api.get("/prompts") == []


def test_theme_that_one_tune_cannot_take_makes_nothing_for_the_others(api):
    answer = themed(api, tune_ids=[1504944, 690204], prompt_attributes={"w": 1024})
    assert answer.status_code == 422
    assert api.get("/prompts") == []
