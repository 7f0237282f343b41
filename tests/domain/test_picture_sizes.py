"""How large pictures are."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from astria_emulator.domain.picture_sizes import LARGEST, picture_size
from astria_emulator.spec.openapi import Spec, default_path

SPEC = Spec.read(default_path())
RATIOS = [ratio for ratio in SPEC.schema("AspectRatio")["enum"] if ratio]
PROPERTIES = SPEC.schema("PromptFields")["properties"]
BRANCHES = st.sampled_from(["sd15", "fast", "sdxl1", "flux1", "partner"])
SIDES = st.none() | st.integers(8, 512).map(lambda eighth: eighth * 8)
PROMPTS = st.fixed_dictionaries(
    {
        "aspect_ratio": st.sampled_from([None, *RATIOS]),
        "ar": st.sampled_from(PROPERTIES["ar"]["enum"]),
        "resolution": st.sampled_from(PROPERTIES["resolution"]["enum"]),
        "w": SIDES,
        "h": SIDES,
        "super_resolution": st.booleans(),
    }
)


@pytest.mark.parametrize(
    ("prompt", "branch", "size"),
    [
        ({}, "sd15", (512, 512)),
        ({}, "fast", (512, 512)),
        ({}, "sdxl1", (1024, 1024)),
        ({}, "flux1", (1024, 1024)),
        ({"ar": "16:9"}, "flux1", (1368, 768)),
        ({"ar": "portrait"}, "flux1", (912, 1144)),
        ({"ar": "landscape"}, "flux1", (1144, 912)),
        ({"ar": "16:9", "aspect_ratio": "9:16"}, "flux1", (768, 1368)),
        ({"aspect_ratio": "adaptive"}, "flux1", (1024, 1024)),
        ({"aspect_ratio": "21:9"}, "sd15", (784, 336)),
        ({"resolution": "1K"}, "sd15", (1024, 1024)),
        ({"resolution": "4K"}, "flux1", (4096, 4096)),
        ({"resolution": "4K", "ar": "16:9"}, "flux1", (4096, 2304)),
        ({"w": 512, "h": 768}, "flux1", (512, 768)),
        ({"w": 512}, "flux1", (512, 1024)),
        ({"w": 512, "h": 768, "ar": "16:9", "resolution": "2K"}, "flux1", (512, 768)),
        ({"super_resolution": True}, "fast", (2048, 2048)),
        ({"super_resolution": True, "w": 512, "h": 640}, "flux1", (2048, 2560)),
        ({"super_resolution": True, "w": 2048, "h": 1024}, "flux1", (4096, 2048)),
        ({"super_resolution": True, "w": 4096, "h": 64}, "flux1", (4096, 64)),
        ({"text": "a --outpaint --outpaint_width 640 --outpaint_height 480"}, "flux1", (640, 480)),
        ({"text": "a --outpaint_width 640 --outpaint_height 480"}, "flux1", (1024, 1024)),
        ({"text": "a --outpaint --outpaint_width 640"}, "flux1", (1024, 1024)),
        (
            {"text": "a --outpaint --outpaint_width 640 --outpaint_height 9000"},
            "flux1",
            (640, 4096),
        ),
        ({"text": "a --outpaint --outpaint_width 640 --outpaint_height x"}, "flux1", (1024, 1024)),
        (
            {"text": "a --outpaint --outpaint_width 640 --outpaint_height 480", "w": 64},
            "sd15",
            (640, 480),
        ),
        ({"text": None, "ar": None, "resolution": None, "w": None}, "sd15", (512, 512)),
        (
            {"text": f"a --outpaint --outpaint_width 640 --outpaint_height {'1' * 5000}"},
            "sd15",
            (512, 512),
        ),
    ],
)
def test_picture_has_the_size_that_its_prompt_asks_for(
    prompt: dict[str, Any], branch: str, size: tuple[int, int]
) -> None:
    assert picture_size(prompt, branch) == size


@given(PROMPTS, BRANCHES)
@settings(derandomize=True, deadline=None, max_examples=300)
def test_sides_are_multiples_of_8_and_not_too_large(prompt: dict[str, Any], branch: str) -> None:
    width, height = picture_size(prompt, branch)
    assert width % 8 == height % 8 == 0
    assert 64 <= min(width, height) <= max(width, height) <= LARGEST
    plain = picture_size({**prompt, "super_resolution": False}, branch)
    if prompt["super_resolution"]:
        assert all(
            before <= after <= 4 * before
            for before, after in zip(plain, (width, height), strict=True)
        )


@given(PROMPTS, BRANCHES)
@settings(derandomize=True, deadline=None, max_examples=300)
def test_picture_has_the_area_of_its_tier_or_branch(prompt: dict[str, Any], branch: str) -> None:
    assume(prompt["resolution"] != "4K")  # a wide one would be too long, and is made smaller
    width, height = picture_size(
        {**prompt, "w": None, "h": None, "super_resolution": False}, branch
    )
    tier = {"1K": 1024, "2K": 2048, "4K": 4096}.get(prompt["resolution"])
    side = tier or (512 if branch in ("sd15", "fast") else 1024)
    assert abs(width * height / side**2 - 1) < 0.03


@pytest.mark.parametrize("ratio", [ratio for ratio in RATIOS if ratio != "adaptive"])
def test_picture_has_its_aspect_ratio(ratio: str) -> None:
    width, height = picture_size({"aspect_ratio": ratio}, "flux1")
    across, down = map(int, ratio.split(":"))
    assert abs(width / height / (across / down) - 1) < 0.02
