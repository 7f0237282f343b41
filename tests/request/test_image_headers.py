"""Pictures by their headers: Pillow writes and judges them, hostile headers are made by hand."""

import struct
import subprocess
import sys
import tracemalloc
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from astria_emulator.request.image_headers import MAX_PIECES, NO_PICTURE, READERS, refusal, size_of

SIZES = [(1, 1), (64, 48), (300, 7), (517, 1030)]
FORMATS = {
    "JPEG": {},
    "JPEG progressive": {"progressive": True},
    "JPEG with Exif": {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"},
    "MPO": {"save_all": True},
    "PNG": {},
    "GIF": {},
    "BMP": {},
    "WEBP": {},
    "WEBP lossless": {"lossless": True},
    "WEBP animated": {"save_all": True},
    "TIFF": {},
    "TIFF compressed": {"compression": "tiff_lzw"},
    "TIFF big": {"big_tiff": True},
    "AVIF": {},
}


def written(kind: str, size: tuple[int, int]) -> bytes:
    out = BytesIO()
    more = [Image.new("RGB", size, "red")] if "save_all" in FORMATS[kind] else []
    image = Image.new("RGB", size, "teal")
    image.save(out, kind.partition(" ")[0], append_images=more, **FORMATS[kind])
    return out.getvalue()


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + struct.pack(">II", width, height) + b"\x08\2\0\0\0"


def jpeg(*segments: bytes, width: int = 8, height: int = 8) -> bytes:
    frame = b"\xff\xc0\0\x11\x08" + struct.pack(">HH", height, width)
    return b"\xff\xd8" + b"".join(segments) + frame + bytes(12)


def tiff(order: str, *tags: tuple[int, int, int]) -> bytes:
    magic = b"II*\0" if order == "<" else b"MM\0*"
    entries = [
        struct.pack(order + "HHI" + ("HH" if kind == 3 else "I"), tag, kind, 1, value,
                    *([0] if kind == 3 else []))
        for tag, kind, value in tags
    ]  # fmt: skip
    return magic + struct.pack(order + "IH", 8, len(tags)) + b"".join(entries)


def box(name: bytes, *parts: bytes) -> bytes:
    inner = b"".join(parts)
    return struct.pack(">I", len(inner) + 8) + name + inner


def avif(*sizes: tuple[int, int]) -> bytes:
    shown = [box(b"ispe", bytes(4), struct.pack(">II", *size)) for size in sizes]
    properties = box(b"iprp", box(b"ipco", *shown))
    return box(b"ftyp", b"mif1\0\0\0\0avif") + box(b"meta", bytes(4), properties)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", FORMATS)
def test_size_is_that_which_pillow_wrote(kind: str, size: tuple[int, int]) -> None:
    name = kind.partition(" ")[0]
    if name in ("AVIF", "WEBP") and not features.check(name.lower()):
        pytest.skip(f"this Pillow cannot write {name}")
    data = written(kind, size)
    with Image.open(BytesIO(data)) as opened:
        assert opened.format == name
    assert size_of(data) == size
    assert refusal(data, 1) is None


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (png(2**31 - 1, 2**31 - 1), (2**31 - 1, 2**31 - 1)),
        (jpeg(width=65535, height=65535), (65535, 65535)),
        (jpeg(b"\xff\xe1\0\4ab", b"\xff\xff\xff\xfe\0\2", b"\xff\x01"), (8, 8)),
        (b"GIF89a\xff\xff\xff\xff\0\0\0", (65535, 65535)),
        (b"BM" + bytes(12) + struct.pack("<Iii", 40, 2**31 - 1, -(2**31)), (2**31 - 1, 2**31)),
        (b"BM" + bytes(12) + struct.pack("<IHH", 12, 7, 9), (7, 9)),
        (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\xff" * 6, (2**24, 2**24)),
        (b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f\xff\xff\xff\x0f", (2**14, 2**14)),
        (b"RIFF\0\0\0\0WEBPVP8 " + bytes(7) + b"\x9d\x01\x2a\xff\xff\xff\xff", (16383, 16383)),
        (tiff("<", (256, 4, 2**32 - 1), (257, 4, 2**32 - 1)), (2**32 - 1, 2**32 - 1)),
        (tiff(">", (254, 4, 0), (256, 3, 10), (257, 3, 20)), (10, 20)),
        (avif((512, 512), (65536, 65536), (512, 512)), (65536, 65536)),
        (avif((4032, 3024)).replace(b"mif1\0\0\0\0avif", b"heic\0\0\0\0mif1"), (4032, 3024)),
    ],
)  # fmt: skip
def test_size_is_what_the_header_says(data: bytes, size: tuple[int, int]) -> None:
    assert size_of(data) == size


@pytest.mark.parametrize(
    "data",
    [
        b"", b"a", b"not a picture", b"\0" * 100, b"%PDF-1.7", b"<svg/>", b"PK\3\4",
        b"\xff\xd8\xff",
        b"\0\0\1\0\1\0" + b"\0" * 16,  # an icon
        b"RIFF\x24\0\0\0WAVEfmt ", b"RIFF\0\0\0\0WEBPVP8?" + bytes(20),
        b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", b"\0\0\0\0", avif(),
        png(0, 5), png(5, 0), png(5, 5)[:20], b"\x89PNG\r\n\x1a\n" + bytes(100),
        jpeg(width=0), b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xda" + bytes(99),
        b"\xff\xd8" + b"\xff" * 99,
        jpeg(*[b"\xff\xe1\0\2"] * MAX_PIECES), b"\xff\xd8" + b"\xff" * 10**6,
        b"GIF88a\1\0\1\0", b"GIF89a\0\0\1\0", b"BM" + bytes(50), b"BM",
        tiff("<", (256, 4, 5)), tiff("<", (256, 2, 5), (257, 2, 5)), b"II*\0\xff\xff\xff\xff",
        b"II+\0\x08\0\0\0" + b"\xff" * 8, b"MM\0+" + b"\xff" * 40,
        tiff("<", *[(0, 3, 0)] * MAX_PIECES, (256, 3, 1), (257, 3, 1)),
    ],
)  # fmt: skip
def test_bytes_without_a_header_of_a_picture_are_none(data: bytes) -> None:
    assert size_of(data) is None
    assert refusal(data, 100) == NO_PICTURE


@pytest.mark.parametrize(("width", "fits"), [(1000, True), (1001, False), (2**31 - 1, False)])
def test_picture_with_too_many_pixels_is_refused(width: int, fits: bool) -> None:
    told = None if fits else "must have at most 1 megapixels"
    assert refusal(png(width, 1000), 1) == told


@given(st.sampled_from([*READERS, b"RIFF\0\0\0\0WEBP", b"\0\0\0\x14ftyp"]), st.binary(max_size=200))
@settings(derandomize=True, deadline=None, max_examples=500)
def test_any_bytes_have_a_size_or_none(magic: bytes, data: bytes) -> None:
    size = size_of(magic + data)
    assert size is None or min(size) > 0


@given(st.sampled_from([k for k in FORMATS if k != "AVIF"]), st.data())
@settings(derandomize=True, deadline=None, max_examples=200)
def test_damaged_picture_has_a_size_or_none(kind: str, data: st.DataObject) -> None:
    raw = bytearray(written(kind, (16, 16)))
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(raw)))
    size = size_of(bytes(raw[:end]))
    assert size is None or min(size) > 0


def test_tags_that_overlap_are_not_copied() -> None:
    """2,000 tags of 1 MB each over the same 1 MB."""
    tags = [(1000 + at, 7, 0) for at in range(2000)]
    raw = tiff("<", (256, 3, 8), (257, 3, 8), *tags)
    many = raw[:10] + raw[10:].replace(b"\7\0\1\0\0\0", b"\7\0\0\0\x10\0") + bytes(2**20 + 100)
    tracemalloc.start()
    try:
        assert size_of(many) == (8, 8)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_picture_is_looked_at_without_pillow() -> None:
    code = (
        "import sys; from astria_emulator.request.image_headers import size_of; "
        f"assert size_of({png(3, 4)!r}) == (3, 4); assert 'PIL' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
