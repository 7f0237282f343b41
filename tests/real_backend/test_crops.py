"""Pictures are cropped to buckets and faces."""

import json
from math import log

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from astria_real_backend.training.faces import Box
from astria_real_backend.training.photos import (
    Source,
    buckets,
    nearest,
)
from tests.real_backend.pictures import picture, prepared, written


@pytest.mark.parametrize(("side", "step"), [(512, 64), (64, 8), (768, 64), (1024, 64), (100, 64)])
def test_buckets_are_about_as_large_as_the_square(side: int, step: int) -> None:
    found = buckets(side, step, 2.0)
    assert found == sorted({(height, width) for width, height in found})
    assert all(width % step == 0 == height % step for width, height in found)
    assert all(max(size) <= 2 * min(size) for size in found)
    if side % step == 0:
        assert (side, side) in found
        assert all(abs(width * height / side**2 - 1) < 0.1 for width, height in found)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.integers(32, 4000), st.integers(32, 4000), st.sampled_from([(512, 64), (64, 8)]))
def test_bucket_is_that_of_the_nearest_aspect(width: int, height: int, base: tuple) -> None:
    assume(max(width, height) <= 2 * min(width, height))
    found = nearest(buckets(*base, 2.0), (width, height))
    # Half of the widest gap between two aspects, that of 1 and 9:7: an eighth at most is cut off.
    assert abs(log(found[0] / found[1]) - log(width / height)) <= log(9 / 7) / 2


@pytest.mark.parametrize("size", [(300, 300), (300, 200), (200, 390), (700, 200), (64, 48)])
def test_picture_is_not_stretched(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, "black")
    middle, radius = (size[0] // 2, size[1] // 2), min(size) // 4
    ImageDraw.Draw(image).circle(middle, radius, "white")
    (photo,), (report,) = prepared(Source("a", written(image)))
    assert photo.pixels.shape[1::-1] == report.crops[0].bucket
    white = photo.pixels[:, :, 0] > 127
    assert abs(white.any(axis=0).sum() - white.any(axis=1).sum()) <= 1


@pytest.mark.parametrize(
    ("size", "note"), [((64, 64), ""), ((45, 45), ""), ((40, 40), "enlarged 1.6 times")]
)
def test_picture_that_is_small_is_enlarged_and_that_is_said(size: tuple, note: str) -> None:
    (photo,), (report,) = prepared(Source("a", picture(*size)))
    assert photo.pixels.shape == (64, 64, 3)
    assert report.note == note


FACE = Box(400, 20, 500, 120)


def test_face_adds_a_crop_with_its_place() -> None:
    (whole, close), (report, _) = prepared(
        Source("a.jpg", picture(600, 600)), Source("a.txt", b"words"),
        face_crop=True, find_faces=lambda pixels: [Box(0, 500, 50, 550), FACE],
    )  # fmt: skip
    assert (whole.kind, close.kind) == ("whole", "face")
    assert whole.face == pytest.approx((400 / 600, 20 / 600, 500 / 600, 120 / 600))
    assert [crop.box for crop in report.crops] == [Box(0, 0, 600, 600), Box(350, 0, 550, 200)]
    assert close.face == (0.25, 0.1, 0.75, 0.6)
    assert close.pixels.shape == (64, 64, 3)
    assert close.caption == "words"
    assert report.note == ""


def test_face_is_kept_by_the_whole_crop_without_a_crop_of_its_own() -> None:
    (photo,), (report,) = prepared(Source("a", picture(600, 150)), find_faces=lambda pixels: [FACE])
    assert report.crops[0].box.right >= FACE.right
    assert photo.face is not None
    assert photo.face[2] <= 1.0


def test_picture_without_a_face_is_used_whole_and_that_is_said() -> None:
    (photo,), (report,) = prepared(Source("a", picture()), face_crop=True)
    assert (photo.kind, photo.face) == ("whole", None)
    assert (report.used, report.note) == (True, "no face was found")


def test_restorer_mends_faces_before_they_are_cut() -> None:
    def redden(face):
        face[:] = (255, 0, 0)
        return face

    _, close = prepared(
        Source("a", picture(600, 600)),
        face_crop=True, find_faces=lambda pixels: [FACE], restore=redden,
    )[0]  # fmt: skip
    assert tuple(close.pixels[20, 32]) == (255, 0, 0)
    assert tuple(close.pixels[63, 0]) == (0, 128, 128)


def test_report_is_what_json_has() -> None:
    _, reports = prepared(
        Source("a.jpg", picture(600, 600)), Source("b.jpg", b""),
        face_crop=True, find_faces=lambda pixels: [FACE],
    )  # fmt: skip
    told = [report.as_dict() for report in reports]
    assert json.loads(json.dumps(told)) == told
    assert told == [
        {
            "name": "a.jpg", "used": True, "reason": "", "note": "", "size": [600, 600],
            "crops": [
                {"kind": "whole", "box": [0, 0, 600, 600], "bucket": [64, 64]},
                {"kind": "face", "box": [350, 0, 550, 200], "bucket": [64, 64]},
            ],
        },
        {
            "name": "b.jpg", "used": False, "note": "", "size": [0, 0], "crops": [],
            "reason": "it is no picture (of JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF)",
        },
    ]  # fmt: skip
