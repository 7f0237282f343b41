"""Requests become tasks."""

from collections.abc import Callable
from typing import Any

import pytest
from scripted import ScriptedExecutor

from astria_real_backend.workers.executor import Failed
from tests.real_backend.backend_cases import Api, png, waits


# -- requests become tasks -------------------------------------------------------------------------
def test_parameters_of_a_tune_reach_the_training(api: Api) -> None:
    api.tune(name="dog", token="zwx", steps="7", face_crop="true", model_type="pti")
    api.finish()
    [task] = api.executor.tasks
    config = task.config
    told = (config["subject"], config["token"], config["steps"], config["face_crop"])
    assert told == ("dog", "zwx", 7, True)
    assert (config["method"], config["recipe"]["tokens"]) == ("pti", 2)
    assert (config["base"]["side"], config["base"]["preset"]) == (64, "toy")


@pytest.mark.parametrize(
    ("model_type", "method"), [(None, "checkpoint"), ("lora", "lora"), ("pti", "pti")]
)
def test_model_type_chooses_the_method(api: Api, model_type: str | None, method: str) -> None:
    api.tune(model_type=model_type)
    api.finish()
    assert api.executor.tasks[0].config["method"] == method


def test_token_is_by_default_that_of_the_branch(api: Api) -> None:
    api.tune()
    api.finish()
    assert api.executor.tasks[0].config["token"] == "sks"


def test_most_steps_bounds_what_is_asked_for(make_api: Callable[..., Api]) -> None:
    api = make_api(None, "most-steps=3")
    api.tune(steps="50")
    api.finish()
    assert api.executor.tasks[0].config["most_steps"] == 3


def test_pictures_and_captions_are_laid_out_in_their_order_and_by_their_names(api: Api) -> None:
    files = [("tom.png", png("red")), ("TOM.txt", b"a red cat"), ("jo/é.png", png("blue"))]
    tune = api.tune(files=files)
    assert len(tune["orig_images"]) == 2
    api.finish()
    [laid_out] = api.executor.pictures
    assert [*laid_out] == ["tom.png", "jo/é.png", "TOM.txt"]
    assert laid_out["TOM.txt"] == b"a red cat"
    assert laid_out["tom.png"] == png("red")


def test_pictures_given_by_address_are_fetched_as_the_tune_is_made(
    api: Api, serve: Callable[..., str]
) -> None:
    uploaded = api.tune()["orig_images"]
    body = {"title": "b", "name": "cat", "branch": "sd15", "image_urls": uploaded}
    answer = api.call("POST", "/tunes", json={"tune": body})
    assert answer.status_code == 201, answer.text
    api.finish()
    assert [*api.executor.pictures[1].values()] == [png("teal"), png("plum")]
    gone = {**body, "image_urls": ["http://127.0.0.1:1/a.png"]}
    refused = api.call("POST", "/tunes", json={"tune": gone})
    assert (refused.status_code, refused.json()) == (422, {"image_urls": ["could not be fetched"]})


def test_face_correction_goes_through_the_restorer_that_is_named(
    make_api: Callable[..., Api],
) -> None:
    with_one = make_api(None, "restorer=mending:mend")
    with_one.tune(training_face_correct="true")
    with_one.tune()
    with_one.finish()
    first, second = with_one.executor.tasks
    assert (first.config["restorer"], second.config["restorer"]) == ("mending:mend", None)


def test_face_correction_without_a_restorer_fails_with_the_reason(api: Api) -> None:
    tune = api.tune(training_face_correct="true")
    api.finish()
    inside = api.inside(tune)
    assert (inside["state"], api.executor.tasks) == ("failed", [])
    assert "restorer" in inside["failure"]


def test_tune_on_a_tune_waits_for_it_and_gets_its_files(api: Api) -> None:
    held = api.executor
    first = api.tune(model_type=None, title="first")
    on_checkpoint = api.tune(base_tune_id=first["id"], title="second")
    on_adapter = api.tune(base_tune_id=on_checkpoint["id"], title="third")
    api.finish()
    bases = [task.config["base"]["checkpoint"] for task in held.tasks]
    formers = [task.config["former"] for task in held.tasks]
    assert [len(held.tasks), bases[0], formers[0], formers[1]] == [3, None, (), ()]
    assert bases[1] == bases[2] is not None
    assert len(formers[2]) == 1
    assert [task.config["base"]["tune_id"] for task in held.tasks] == [690204] * 3
    assert api.get(f"/tunes/{on_adapter['id']}")["trained_at"]


def test_tune_on_a_tune_that_fails_or_goes_fails_too(make_api: Callable[..., Api]) -> None:
    executor = ScriptedExecutor()
    executor.plays.append(lambda task: iter([Failed("No cat is in it.")]))
    executor.plays.append(waits)
    api = make_api(executor)
    first = api.tune()
    second = api.tune(base_tune_id=first["id"])
    api.finish()
    assert "could not be trained" in api.inside(second)["failure"]
    third = api.tune()
    fourth = api.tune(base_tune_id=third["id"])
    executor.wait_for("start train", 2)
    assert api.call("DELETE", f"/tunes/{third['id']}").status_code == 200
    api.finish()
    assert "was deleted" in api.inside(fourth)["failure"]


def test_prompt_becomes_a_text_with_its_tunes_and_numbers(api: Api) -> None:
    tune = api.tune(model_type="pti")
    asked = {
        "negative_prompt": "dog", "seed": 5, "steps": 12, "cfg_scale": 3.5, "num_images": 3,
        "w": 128, "h": 72, "scheduler": "dpm++2m",
    }  # fmt: skip
    api.prompt(tune["id"], f"<lora:{tune['id']}:0.5> sks cat at sea", **asked)
    api.finish()
    config = api.executor.tasks[1].config
    names = ("negative_prompt", "seed", "steps", "guidance_scale", "pictures", "width", "height")
    assert [config[name] for name in names] == ["dog", 5, 12, 3.5, 3, 128, 72]
    assert (config["prompt"], config["scheduler"]) == ("sks cat at sea", "dpm++2m")
    [adapter] = config["adapters"]
    assert (adapter["tune_id"], adapter["scale"], adapter["token"]) == (tune["id"], 0.5, "sks")
    assert len(adapter["files"]) == 2


def test_picture_has_the_native_size_of_its_base_by_default(api: Api) -> None:
    api.prompt(690204)
    api.finish()
    config = api.executor.tasks[0].config
    assert (config["width"], config["height"]) == (64, 64)


@pytest.mark.parametrize(
    ("asked", "drawn", "shown"),
    [
        ({"w": 128, "h": 128}, (128, 128), None),
        ({"w": 512, "h": 640}, (112, 136), (512, 640)),
        ({"w": 768, "h": 768}, (128, 128), (768, 768)),
        ({"super_resolution": True}, (64, 64), (256, 256)),
    ],
)
def test_picture_that_is_too_large_is_drawn_smaller_and_enlarged(
    api: Api, asked: dict[str, Any], drawn: tuple[int, int], shown: tuple[int, int] | None
) -> None:
    api.prompt(690204, **asked)
    api.finish()
    config = api.executor.tasks[0].config
    assert (config["width"], config["height"]) == drawn
    assert config["output_size"] == shown


def test_prompt_of_a_checkpoint_is_drawn_with_its_file(api: Api) -> None:
    tune = api.tune(model_type=None)
    api.prompt(tune["id"])
    api.finish()
    config = api.executor.tasks[1].config
    assert config["base"]["checkpoint"]
    assert config["adapters"] == ()


@pytest.mark.parametrize(
    "given", [{"controlnet": "pose", "input_image_url": "https://example.com/1.jpg"}]
)
def test_what_cannot_be_drawn_yet_ends_with_a_sentence(api: Api, given: dict[str, Any]) -> None:
    prompt = api.prompt(690204, **given)
    api.finish()
    shown = api.get(f"/prompts/{prompt['id']}")
    assert shown["images"] == []
    assert "cannot draw with controlnet" in shown["user_error"]
