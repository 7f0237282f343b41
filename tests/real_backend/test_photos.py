"""Training pictures: what is made of each file, and what is said about it."""

import json
import re
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from astria_real_backend.training.photos import (
    LONGEST_CAPTION,
    FileReport,
    Source,
    decode,
)
from tests.real_backend.pictures import picture, prepared, written

np = pytest.importorskip("numpy", reason="needs astria-emulator[real]")
# Red above green, each with a brighter left half: eight orientations that all differ.
CORNERS = ((255, 0, 0), (120, 0, 0), (0, 255, 0), (0, 120, 0))


def four_corners() -> Image.Image:
    image = Image.new("RGB", (80, 60))
    for at, colour in enumerate(CORNERS):
        image.paste(colour, (at % 2 * 40, at // 2 * 30, at % 2 * 40 + 40, at // 2 * 30 + 30))
    return image


def png_header(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">II", width, height) + b"\x08\2\0\0\0"
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + head + bytes(4)


def fate_of(data: bytes, **options: object) -> FileReport:
    (report,) = prepared(Source("a.jpg", data), **options)[1]
    return report


# How a camera that was held so stores what was seen upright (Exif 2.32, tag 0x0112).
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", STORED)
def test_picture_is_turned_as_its_exif_says(orientation: int, kind: str) -> None:
    turn = STORED[orientation]
    image = four_corners() if turn is None else four_corners().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode(written(image, kind, exif=exif), 1)
    assert found.size == (80, 60)
    for at, colour in enumerate(CORNERS):
        shown = found.getpixel((at % 2 * 40 + 20, at // 2 * 30 + 15))
        assert np.abs(np.subtract(shown, colour)).max() < 12


def test_size_and_crop_are_of_the_turned_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    report = fate_of(written(Image.new("RGB", (200, 100)), "JPEG", exif=exif))
    assert report.size == (100, 200)
    assert report.crops[0].bucket[1] > report.crops[0].bucket[0]


def test_exif_that_is_broken_does_no_harm() -> None:
    assert fate_of(written(four_corners(), "JPEG", exif=b"Exif\0\0II*\0garbage")).used


def deep(mode: type, brightest: float) -> Image.Image:
    ramp = np.linspace(0, brightest, 64).astype(mode)
    return Image.fromarray(np.repeat(ramp[None], 64, axis=0))


@pytest.mark.parametrize(
    ("data", "first", "last"),
    [
        (written(deep(np.uint16, 65535)), 0, 255),
        (written(deep(np.int32, 100_000), "TIFF"), 0, 255),
        (written(deep(np.float32, 1.0), "TIFF"), 0, 255),
        (written(Image.fromarray(np.full((64, 64), -9, np.int32)), "TIFF"), 0, 0),
        (written(Image.new("L", (64, 64), 99)), 99, 99),
        (written(Image.new("1", (64, 64), 1)), 255, 255),
        (written(Image.new("LA", (64, 64), (0, 0))), 255, 255),
        (written(Image.new("RGBA", (64, 64), (0, 0, 0, 51))), 204, 204),
        (written(Image.new("P", (64, 64), 0), transparency=0), 255, 255),
        (written(Image.new("RGB", (64, 64), 0), transparency=(0, 0, 0)), 255, 255),
        (written(Image.new("CMYK", (64, 64), (0, 0, 0, 55)), "JPEG"), 200, 200),
        (
            written(
                Image.new("RGB", (64, 64), (9, 9, 9)), "WEBP", lossless=True, save_all=True,
                append_images=[Image.new("RGB", (64, 64), "white")],
            ),
            9, 9,
        ),
        (
            written(
                Image.new("P", (64, 64), 0), "GIF", save_all=True,
                append_images=[Image.new("RGB", (64, 64), "white")],
            ),
            0, 0,
        ),
    ],
    ids=["16 bit", "32 bit", "float", "below 0", "grey", "1 bit", "grey and alpha", "alpha",
         "palette", "one clear colour", "CMYK", "animated WebP", "animated GIF"],
)  # fmt: skip
def test_picture_of_any_mode_becomes_rgb(data: bytes, first: int, last: int) -> None:
    (photo,), _ = prepared(Source("a", data))
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.shape == (64, 64, 3)
    assert photo.pixels.flags.writeable
    for column, expected in ((0, first), (-1, last)):
        assert np.abs(photo.pixels[0, column].astype(int) - expected).max() <= 2


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8))
BROKEN = {
    "nothing": (b"", "it is no picture"),
    "text": (b"<html>not found</html>", "it is no picture"),
    "a bomb": (png_header(60_000, 60_000), r"60000 x 60000 pixels are 3600 mega.* at most 1 fit"),
    "a header": (png_header(100, 100), "it cannot be opened as a picture"),
    "half a JPEG": (written(NOISE, "JPEG")[:2000], "it cannot be decoded: .*truncated.*"),
    "half a WebP": (written(NOISE, "WEBP")[:2000], "it cannot be (opened|decoded).*"),
    "large": (picture(1001, 1000), "1001 x 1000 pixels are 1.001 megapixels; at most 1 fit"),
    "small": (picture(31, 64), "31 x 64 pixels are too few: each side needs 32"),
    "long": (picture(40, 161), "40 x 161 pixels are longer than 4 to 1"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_file_that_cannot_be_used_is_dropped_with_the_reason(name: str) -> None:
    data, reason = BROKEN[name]
    photos, (report,) = prepared(Source("a.jpg", data))
    assert photos == []
    assert (report.name, report.used, report.crops) == ("a.jpg", False, ())
    assert re.match(reason, report.reason), report.reason


def test_size_that_pillow_reads_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astria_real_backend.training.photos.size_of", lambda data: (64, 64))
    assert fate_of(picture(1001, 1000)).reason.startswith("1001 x 1000 pixels are 1.001 mega")


@pytest.mark.parametrize("size", [(32, 32), (32, 128), (128, 32), (1000, 1000)])
def test_picture_at_a_limit_is_used(size: tuple[int, int]) -> None:
    assert fate_of(picture(*size)).reason == ""


def test_large_picture_does_not_warn_when_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert "exceeds limit" in fate_of(picture()).reason
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)  # twice as many are an error
    assert fate_of(picture()).used


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP"]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(1, 4000),
)
def test_broken_bytes_never_raise(kind: str, changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(written(four_corners(), kind))
    for at, value in changes:
        data[at % len(data)] = value
    report = fate_of(bytes(data[:length]))
    assert report.used == (report.reason == "")


def test_caption_is_that_of_the_same_stem_in_any_case() -> None:
    photos, reports = prepared(
        Source("One.TXT", "\ufeff  ohwx, sur la plage \u2600 \n".encode()),
        Source("one.JPG", picture(colour="red")),
        Source("ONE.png", picture(colour="blue")),
        Source("two.png", picture(colour="white")),
    )
    assert [photo.caption for photo in photos] == ["ohwx, sur la plage \u2600"] * 2 + [None]
    assert all(report.used for report in reports)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("b.txt", b"alone", "no picture of this name is used"),
        ("broken.txt", b"of a picture that is dropped", "no picture of this name is used"),
        ("a.txt", b"ohw\xff", "it is not UTF-8, at byte 3"),
        ("a.txt", b" \n", "it is empty"),
    ],
)
def test_caption_is_dropped_with_the_reason(name: str, data: bytes, reason: str) -> None:
    (photo,), reports = prepared(
        Source("a.jpg", picture()), Source("broken.jpg", b""), Source(name, data)
    )
    assert photo.caption is None
    assert (reports[2].used, reports[2].reason) == (False, reason)


def test_second_caption_of_a_name_is_dropped() -> None:
    (photo,), reports = prepared(
        Source("a.txt", b"first"), Source("A.TXT", b"second"), Source("a.jpg", picture())
    )
    assert photo.caption == "first"
    assert reports[1].reason == "another file is the caption of this name"


def test_caption_that_is_long_is_cut_and_that_is_said() -> None:
    (photo,), reports = prepared(Source("a.jpg", picture()), Source("a.txt", b"x" * 2345))
    assert photo.caption == "x" * LONGEST_CAPTION
    assert reports[1].note == "cut from 2345 to 2000 characters"


def test_duplicate_is_dropped_and_the_first_kept() -> None:
    photos, reports = prepared(
        Source("a.jpg", picture()), Source("b.jpg", picture(65)), Source("c.jpg", picture())
    )
    assert [photo.name for photo in photos] == ["a.jpg", "b.jpg"]
    assert reports[2] == FileReport("c.jpg", used=False, reason="it is the same file as a.jpg")


FILES = [
    picture(), picture(100, 300), picture(10, 10), b"", b"words", b"\xff", png_header(9**5, 9**5),
    written(NOISE, "JPEG")[:900],
]  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    st.lists(
        st.builds(
            Source,
            st.sampled_from(["a.jpg", "A.png", "b.jpg", "a.txt", "b.TXT", "c", ".txt", "", "d/a"]),
            st.sampled_from(FILES),
        ),
        max_size=8,
    )
)
def test_each_file_has_one_fate_and_a_reason_unless_used(files: list[Source]) -> None:
    photos, reports = prepared(*files)
    assert [report.name for report in reports] == [file.name for file in files]
    assert all(report.used == (report.reason == "") for report in reports)
    crops = [report.name for report in reports for _ in report.crops]
    assert [photo.name for photo in photos] == crops
    json.dumps([report.as_dict() for report in reports])
