"""Rules for prompts that a schema cannot express, by branch and by video model.

A broken rule gives a message under a field, which the API answers with 422.
"""

from collections.abc import Callable, Mapping
from typing import Any

from astria_emulator.domain.gallery import VideoModel

Prompt = Mapping[str, Any]
Rule = tuple[str, str, Callable[[Prompt, str], Any]]

# Field, message, and a test of the prompt and its base's branch: true means refused.
IMAGE_RULES: tuple[Rule, ...] = (
    (
        "negative_prompt",
        "not supported on Flux",
        lambda p, branch: branch == "flux1" and p.get("negative_prompt"),
    ),
    (
        "hires_fix",
        "not supported on Partner",
        lambda p, branch: branch.startswith("partner") and p.get("hires_fix"),
    ),
    (
        "w",
        "must be less than or equal to 768",
        lambda p, branch: branch == "sd15" and (p.get("w") or 0) > 768,
    ),
    (
        "h",
        "must be less than or equal to 768",
        lambda p, branch: branch == "sd15" and (p.get("h") or 0) > 768,
    ),
)
FIRST_FRAMES = ("video_first_frame", "source_image_url")
FRAMES = ("video_first_frame", "video_last_frame")
REFERENCES = ("image_references", "input_video", "audio_reference")


def has(prompt: Prompt, name: str) -> bool:
    """Whether a prompt has a file, as an upload or by address."""
    address = "image_reference_urls" if name == "image_references" else f"{name}_url"
    return bool(prompt.get(name) or prompt.get(address))


def _video_rules(model: VideoModel, name: str) -> tuple[Rule, ...]:
    def frames_and_references(p: Prompt, _: str) -> bool:
        return (
            name.startswith("seedance2")
            and any(has(p, f) for f in FRAMES)
            and any(has(p, r) for r in REFERENCES)
        )

    def lacks_text(p: Prompt, _: str) -> bool:
        has_frame = any(has(p, frame) for frame in FIRST_FRAMES)
        return not (p.get("text") or model.text or model.motion or has_frame)

    def wrong_duration(p: Prompt, _: str) -> bool:
        allowed = model.durations
        return allowed is not None and p.get("video_duration") not in (None, *allowed)

    def unwanted_references(p: Prompt, _: str) -> bool:
        return has(p, "image_references") and not model.references

    return (
        ("video_prompt", "can't be blank", lambda p, _: not p.get("video_prompt")),
        ("text", "can't be blank", lacks_text),
        ("video_duration", "is not included in the list", wrong_duration),
        ("image_references", "not supported by this video model", unwanted_references),
        ("input_video", "is missing", lambda p, _: model.motion and not has(p, "input_video")),
        ("base", "First and last frames cannot be combined with references", frames_and_references),
    )


def broken_rules(
    prompt: Prompt, branch: str, video_model: VideoModel | None
) -> dict[str, list[str]]:
    """Return the messages by field; empty when the prompt is allowed."""
    rules = IMAGE_RULES
    if video_model:
        rules += _video_rules(video_model, prompt["video_model"])
    else:
        rules += (
            ("image_references", "only for videos", lambda p, _: has(p, "image_references")),
            ("text", "can't be blank", lambda p, _: not p.get("text")),
        )
    messages: dict[str, list[str]] = {}
    for field, message, refuses in rules:
        if refuses(prompt, branch):
            messages.setdefault(field, []).append(message)
    return messages
