"""What a prompt may not ask of its model, as a table."""

from typing import Any

import pytest

from astria_emulator.domain.gallery import VideoModel
from astria_emulator.domain.prompt_rules import broken_rules, has

ANY = VideoModel(text=True, references=True)
VIDEO = {"text": "a", "video_prompt": "b", "video_model": "wan"}
URL = "https://example.com/a"
BLANK = ["can't be blank"]
MIXED = ["First and last frames cannot be combined with references"]


@pytest.mark.parametrize(
    ("prompt", "branch", "messages"),
    [
        ({"text": "a"}, "flux1", {}),
        ({}, "flux1", {"text": BLANK}),
        ({"text": ""}, "flux1", {"text": BLANK}),
        (
            {"text": "a", "negative_prompt": "b"},
            "flux1",
            {"negative_prompt": ["not supported on Flux"]},
        ),
        ({"text": "a", "negative_prompt": ""}, "flux1", {}),
        ({"text": "a", "negative_prompt": "b"}, "sd15", {}),
        ({"text": "a", "hires_fix": True}, "partner", {"hires_fix": ["not supported on Partner"]}),
        (
            {"text": "a", "hires_fix": True},
            "partner_kling",
            {"hires_fix": ["not supported on Partner"]},
        ),
        ({"text": "a", "hires_fix": False}, "partner", {}),
        ({"text": "a", "hires_fix": True}, "sd15", {}),
        ({"text": "a", "w": 768, "h": 768}, "sd15", {}),
        ({"text": "a", "w": 776}, "sd15", {"w": ["must be less than or equal to 768"]}),
        ({"text": "a", "h": 776}, "sd15", {"h": ["must be less than or equal to 768"]}),
        ({"text": "a", "w": None, "h": None}, "sd15", {}),
        ({"text": "a", "w": 1024}, "sdxl1", {}),
        (
            {"text": "a", "image_reference_urls": [URL]},
            "flux1",
            {"image_references": ["only for videos"]},
        ),
        (
            {"text": "a", "image_references": ["key"]},
            "flux1",
            {"image_references": ["only for videos"]},
        ),
        ({"text": "a", "image_reference_urls": []}, "flux1", {}),
        (
            {"w": 776, "h": 776},
            "sd15",
            {
                "w": ["must be less than or equal to 768"],
                "h": ["must be less than or equal to 768"],
                "text": BLANK,
            },
        ),
    ],
)
def test_picture_is_refused_where_its_branch_cannot_make_it(
    prompt: Any, branch: str, messages: Any
) -> None:
    assert broken_rules(prompt, branch, None) == messages


@pytest.mark.parametrize(
    ("model", "changes", "messages"),
    [
        (ANY, {}, {}),
        (ANY, {"video_prompt": None}, {"video_prompt": BLANK}),
        (ANY, {"text": None}, {}),
        (VideoModel(), {"text": None}, {"text": BLANK}),
        (VideoModel(), {"text": None, "video_first_frame_url": URL}, {}),
        (VideoModel(), {"text": None, "video_first_frame": "key"}, {}),
        (VideoModel(), {"text": None, "source_image_url": URL}, {}),
        (VideoModel(), {"text": None, "video_last_frame_url": URL}, {"text": BLANK}),
        (VideoModel(motion=True), {"text": None, "input_video_url": URL}, {}),
        (VideoModel(durations=(5, 10)), {}, {}),
        (VideoModel(durations=(5, 10)), {"video_duration": None}, {}),
        (VideoModel(durations=(5, 10)), {"video_duration": 10}, {}),
        (
            VideoModel(durations=(5, 10)),
            {"video_duration": 6},
            {"video_duration": ["is not included in the list"]},
        ),
        (ANY, {"video_duration": 6}, {}),
        (
            VideoModel(),
            {"image_reference_urls": [URL]},
            {"image_references": ["not supported by this video model"]},
        ),
        (ANY, {"image_reference_urls": [URL]}, {}),
        (VideoModel(motion=True), {}, {"input_video": ["is missing"]}),
        (VideoModel(motion=True), {"input_video": "key"}, {}),
        (ANY, {"video_model": "seedance2_480p", "video_first_frame_url": URL}, {}),
        (
            ANY,
            {"video_model": "seedance2_480p", "video_first_frame_url": URL, "input_video": "k"},
            {"base": MIXED},
        ),
        (
            ANY,
            {"video_model": "seedance2_480p", "video_last_frame": "k", "audio_reference_url": URL},
            {"base": MIXED},
        ),
        (
            ANY,
            {"video_model": "seedance2_480p", "image_reference_urls": [URL], "input_video": "k"},
            {},
        ),
        (
            ANY,
            {"video_model": "seedance_480p", "video_first_frame_url": URL, "input_video": "k"},
            {},
        ),
        (
            VideoModel(durations=(5,)),
            {"video_prompt": "", "text": "", "video_duration": 6, "image_references": ["k"]},
            {
                "video_prompt": BLANK,
                "text": BLANK,
                "video_duration": ["is not included in the list"],
                "image_references": ["not supported by this video model"],
            },
        ),
    ],
)
def test_video_is_refused_where_its_model_cannot_make_it(
    model: VideoModel, changes: Any, messages: Any
) -> None:
    assert broken_rules({**VIDEO, **changes}, "sdxl1", model) == messages


def test_rules_of_the_branch_hold_for_videos_too() -> None:
    prompt = {**VIDEO, "negative_prompt": "b"}
    assert broken_rules(prompt, "flux1", ANY) == {"negative_prompt": ["not supported on Flux"]}


@pytest.mark.parametrize(
    ("prompt", "name", "given_"),
    [
        ({"input_video": "key"}, "input_video", True),
        ({"input_video_url": URL}, "input_video", True),
        ({"input_video": None, "input_video_url": ""}, "input_video", False),
        ({"image_references": ["key"]}, "image_references", True),
        ({"image_reference_urls": [URL]}, "image_references", True),
        ({"image_references_url": URL}, "image_references", False),
        ({"image_references": [], "image_reference_urls": []}, "image_references", False),
        ({"source_image_url": URL}, "source_image_url", True),
    ],
)
def test_medium_is_given_as_a_file_or_by_address(prompt: Any, name: str, given_: bool) -> None:
    assert has(prompt, name) is given_
