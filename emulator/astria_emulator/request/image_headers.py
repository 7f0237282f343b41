"""Recognise pictures and read their size from the header, whatever the name says.

Nothing is decoded or unpacked here. Pillow's `open` does more than look at a header: it unpacks a
PNG's texts, 65 MB from a file of 60 kB, and warns of every tag that is wrong, 5,000 lines from
another of 65 kB (Pillow 13.0.0).
"""

import struct
from collections.abc import Callable, Iterator, Mapping

Size = tuple[int, int]  # width, height in pixels

NO_PICTURE = "is not an image"
MEGA = 1_000_000
MAX_PIECES = 2000  # segments, tags or boxes of one file; a JPEG of 16 MB of metadata has 250
# Start of frame: all of FFC0 to FFCF but tables of Huffman codes, extensions and conditioning.
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
# Brands of HEIF: AVIF, and the HEIC that telephones make.
HEIF = frozenset({b"avif", b"avis", b"mif1", b"heic", b"heix", b"hevc", b"hevx"})
TIFF_NUMBERS = {3: "H", 4: "I", 16: "Q"}
WIDTH, HEIGHT = 256, 257  # TIFF's tags


def refusal(data: bytes, max_megapixels: int) -> str | None:
    """Return why bytes are refused as a picture, in the words of the wire; None: they are not."""
    size = size_of(data)
    if size is None:
        return NO_PICTURE
    if size[0] * size[1] > max_megapixels * MEGA:
        return f"must have at most {max_megapixels} megapixels"
    return None


def size_of(data: bytes) -> Size | None:
    """Return a picture's width and height by its header; None when it is no picture."""
    for magic, read in READERS.items():
        if data.startswith(magic):
            try:
                size = read(data)
            except (struct.error, ValueError, OverflowError):  # it ends too early
                return None
            return size if size and min(size) > 0 else None
    return None


def _jpeg(data: bytes) -> Size | None:
    offset = 2
    for _ in range(MAX_PIECES):
        offset = data.index(b"\xff", offset) + 1
        (marker,) = struct.unpack_from("B", data, offset)
        if marker == 0xFF:  # a fill byte
            continue
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", data, offset + 4)
            return width, height
        if marker in (0xD9, 0xDA):  # the end, or pixels before their size
            return None
        offset += 1
        if marker not in BARE_MARKERS:
            offset += max(2, *struct.unpack_from(">H", data, offset))
    return None


def _png(data: bytes) -> Size | None:
    return struct.unpack_from(">II", data, 16) if data[12:16] == b"IHDR" else None


def _gif(data: bytes) -> Size | None:
    # A frame that is larger than the screen is Pillow's to refuse.
    return struct.unpack_from("<HH", data, 6) if data[4:6] in (b"7a", b"9a") else None


def _bmp(data: bytes) -> Size | None:
    (header,) = struct.unpack_from("<I", data, 14)
    if header == 12:  # of OS/2
        return struct.unpack_from("<HH", data, 18)
    if not 16 <= header <= 256:
        return None
    width, height = struct.unpack_from("<ii", data, 18)
    return width, abs(height)  # below zero: the rows begin at the top


def _webp(data: bytes) -> Size | None:
    """Of lossy, lossless and extended files (Google, "WebP Container Specification")."""
    kind = data[8:16]
    if kind == b"WEBPVP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"WEBPVP8L" and data[20:21] == b"\x2f":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"WEBPVP8X":
        if len(data) < 30:
            return None
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return None


def _tiff(data: bytes) -> Size | None:
    """Read the tags of the first image. A BigTIFF has wider numbers."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = 43 in data[2:4]
    (offset,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, 8 if is_big else 4)
    (count,) = struct.unpack_from(order + ("Q" if is_big else "H"), data, offset)
    offset += 8 if is_big else 2
    tags: dict[int, int] = {}
    for _ in range(min(count, MAX_PIECES)):
        tag, kind = struct.unpack_from(order + "HH", data, offset)
        if tag in (WIDTH, HEIGHT) and kind in TIFF_NUMBERS:
            value = offset + (12 if is_big else 8)
            (tags[tag],) = struct.unpack_from(order + TIFF_NUMBERS[kind], data, value)
        offset += 20 if is_big else 12
    return (tags[WIDTH], tags[HEIGHT]) if len(tags) == 2 else None


def _heif(data: bytes) -> Size | None:
    """Read the largest of its images: the others are tiles, masks and thumbnails."""
    inner = dict(_boxes(data, 0, len(data)))
    brands = data[slice(*inner.get(b"ftyp", (0, 0)))]
    if not {brands[offset : offset + 4] for offset in range(0, len(brands), 4)} & HEIF:
        return None
    offset, end = inner.get(b"meta", (0, 0))
    for name in (b"iprp", b"ipco"):
        offset, end = dict(_boxes(data, offset + (4 if name == b"iprp" else 0), end)).get(
            name, (0, 0)
        )
    sizes = [
        struct.unpack_from(">II", data, offset + 4)
        for name, (offset, _) in _boxes(data, offset, end)
        if name == b"ispe"
    ]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _boxes(data: bytes, offset: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Yield the name, start and end of each box (ISO/IEC 14496-12) between two offsets."""
    for _ in range(MAX_PIECES):
        if offset + 8 > end:
            return
        size, name = struct.unpack_from(">I4s", data, offset)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, offset + 8)
            head = 16
        size = size or end - offset  # 0: to the end
        if size < head:
            return
        yield name, (offset + head, min(offset + size, end))
        offset += size


READERS: Mapping[bytes, Callable[[bytes], Size | None]] = {
    b"\xff\xd8\xff": _jpeg,  # MPO too
    b"\x89PNG\r\n\x1a\n": _png,
    b"GIF8": _gif,
    b"BM": _bmp,
    b"RIFF": _webp,
    b"II*\0": _tiff,
    b"MM\0*": _tiff,
    b"II+\0": _tiff,
    b"MM\0+": _tiff,
    b"\0\0\0": _heif,
}
