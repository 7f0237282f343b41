"""The drawn pictures and the bundled clips."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from astria_emulator.mock.backend import render
from astria_emulator.mock.drawing import CLIP_ASPECTS, Picture, clip, draw_jpeg, draw_reference
from astria_emulator.mock.drawing.scene import kind_of

ROOT = Path(__file__).resolve().parents[2]
PLAIN = Picture(
    width=256,
    height=256,
    text="portrait in the park, golden hour",
    seed=42,
    index=0,
    subject="woman",
    tune="tune 5000001 Jane Doe",
)
SUBJECTS = (
    "man", "woman", "boy", "girl", "person", "cat", "dog", "dress", "shirt", "shoes", "style", "",
)  # fmt: skip
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)


def opened(data: bytes) -> Image.Image:
    Image.open(BytesIO(data)).verify()
    image = Image.open(BytesIO(data))
    image.load()
    return image


def difference(one: bytes, other: bytes) -> float:
    """Return how far two pictures of one size are apart on average, 0..255."""
    pixels = ImageChops.difference(opened(one), opened(other))
    return sum(ImageStat.Stat(pixels).mean) / 3


@pytest.mark.parametrize(
    ("width", "height"),
    [(64, 64), (64, 384), (640, 64), (65, 129), (320, 180), (512, 768), (1023, 511), (2304, 400)],
)
def test_a_picture_has_exactly_the_asked_size(width: int, height: int) -> None:
    image = opened(draw_jpeg(replace(PLAIN, width=width, height=height)))
    assert image.size == (width, height)


def test_a_picture_is_a_baseline_jfif_jpeg_without_metadata() -> None:
    data = draw_jpeg(PLAIN)
    image = opened(data)
    assert (image.format, image.mode) == ("JPEG", "RGB")
    assert data[6:11] == b"JFIF\0"
    assert b"\xff\xc0" in data
    assert not image.info.get("progressive")
    assert not image.getexif()
    assert "comment" not in image.info


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_picture_has_the_same_bytes_when_drawn_again(subject: str) -> None:
    picture = replace(PLAIN, subject=subject)
    assert draw_jpeg(picture) == draw_jpeg(picture)


def fresh(code: str, hash_seed: str = "0") -> str:
    """Return what the code prints in a new Python process."""
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_a_picture_does_not_depend_on_the_hash_seed_of_the_process() -> None:
    code = (
        "import hashlib; from astria_emulator.mock.drawing import Picture, draw_jpeg;"
        f"print(hashlib.sha256(draw_jpeg({PLAIN!r})).hexdigest())"
    )
    assert fresh(code, "1") == fresh(code, "2") == hashlib.sha256(draw_jpeg(PLAIN)).hexdigest()


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_images_of_one_prompt_look_different(subject: str) -> None:
    drawn = [draw_jpeg(replace(PLAIN, subject=subject, index=index)) for index in range(8)]
    for number, one in enumerate(drawn):
        assert all(difference(one, other) > 6 for other in drawn[:number])


def test_pictures_of_different_seeds_look_different() -> None:
    drawn = [draw_jpeg(replace(PLAIN, seed=seed)) for seed in (0, 1, 2, 2**32)]
    for number, one in enumerate(drawn):
        assert all(difference(one, other) > 3 for other in drawn[:number])


@pytest.mark.parametrize("change", [{"text": "other"}, {"tune": "tune 1"}, {"subject": "man"}])
def test_every_field_of_a_picture_shows(change: dict[str, str]) -> None:
    changed = replace(
        PLAIN,
        text=change.get("text", PLAIN.text),
        tune=change.get("tune", PLAIN.tune),
        subject=change.get("subject", PLAIN.subject),
    )
    assert draw_jpeg(changed) != draw_jpeg(PLAIN)


@settings(max_examples=40, deadline=None)
@given(
    text=ANY_TEXT,
    subject=ANY_TEXT,
    tune=ANY_TEXT,
    seed=st.integers(0, 2**32),
    index=st.integers(0, 7),
    width=st.integers(64, 400),
    height=st.integers(64, 400),
)
def test_a_picture_is_drawn_for_any_text(
    text: str, subject: str, tune: str, seed: int, index: int, width: int, height: int
) -> None:
    picture = Picture(width, height, text, seed, index, subject, tune)
    assert opened(draw_jpeg(picture)).size == (width, height)


@pytest.mark.parametrize(
    "text",
    ["", " ", "\0", "\ud800\udfff", "\u202eabc", "\u0645\u0631\u062d\u0628\u0627", "e\u0301" * 50,
     "\U0001f600" * 20, "x" * 10_000, "word " * 2_000, "a\nb\tc\x7f"],
)  # fmt: skip
def test_a_picture_is_drawn_when_its_text_is_unusual(text: str) -> None:
    picture = replace(PLAIN, text=text, subject=text, tune=text)
    assert opened(draw_jpeg(picture)).size == (256, 256)


@pytest.mark.parametrize(("width", "height"), [(64, 64), (512, 512), (300, 800), (1200, 90)])
@pytest.mark.parametrize("label", ["", "https://example.com/" + "a" * 400, "\ud800\0"])
def test_a_reference_card_has_exactly_the_asked_size(width: int, height: int, label: str) -> None:
    data = draw_reference(width, height, label)
    assert opened(data).size == (width, height)
    assert data == draw_reference(width, height, label)


@pytest.mark.parametrize(
    ("subject", "kind"),
    [("man", "man"), ("Woman", "woman"), ("a black cat", "cat"), ("woman's dress", "woman"),
     ("style", "abstract"), ("", "abstract"), ("manual", "abstract"), ("puppy", "dog")],
)  # fmt: skip
def test_a_subject_is_shown_by_the_figure_of_its_first_known_word(subject: str, kind: str) -> None:
    assert kind_of(subject) == kind


@pytest.mark.parametrize("aspect", CLIP_ASPECTS)
def test_a_clip_is_a_small_mp4_that_starts_to_play_early(aspect: str) -> None:
    data = clip(aspect)
    assert data[4:8] == b"ftyp"
    assert len(data) <= 60_000
    assert data.index(b"moov") < data.index(b"mdat")


def test_every_aspect_has_a_clip_of_its_own() -> None:
    assert len({clip(aspect) for aspect in CLIP_ASPECTS}) == len(CLIP_ASPECTS)


@pytest.mark.parametrize(
    ("asked", "given_out"),
    [("16:9", "16:9"), ("1920x1080", "16:9"), ("9:16", "9:16"), ("2:3", "3:4"), ("3:2", "4:3"),
     ("5:4", "4:3"), ("1:1", "1:1"), ("10:9", "1:1"), ("32:9", "21:9"), ("1:9", "9:16"),
     ("0:0", "1:1"), ("", "16:9"), ("auto", "16:9"), ("\ud800", "16:9")],
)  # fmt: skip
def test_a_clip_is_the_nearest_by_ratio(asked: str, given_out: str) -> None:
    assert clip(asked) == clip(given_out)


def test_the_module_does_not_import_pillow_before_it_draws() -> None:
    assert fresh("import sys, astria_emulator.mock.drawing; print('PIL' in sys.modules)") == "False"


def test_recipe_that_an_earlier_version_has_kept_is_drawn() -> None:
    recipe = {"picture": {**asdict(PLAIN), "prompt": "prompt 45000003"}}
    assert render(recipe) == draw_jpeg(PLAIN)
