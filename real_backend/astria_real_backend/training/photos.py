"""Training pictures prepared for the network, and a report on each file that was sent.

1. Each file gets one FileReport, in the order of the files: none is left out without a reason.
2. `NAME.txt` is the caption of the pictures called `NAME`, in any case of letters.
3. A picture is turned as its EXIF says and made RGB; of the rest of it nothing is kept.
4. It is cut to the nearest bucket's aspect, never stretched, and not through its largest face.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from io import BytesIO
from math import ceil, floor, log
from os.path import splitext
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from astria_emulator import size_of
from astria_real_backend.training.faces import (
    Box,
    Pixels,
    Restorer,
    Size,
    close_up,
    cover,
    restore_faces,
)

MEGA = 1_000_000
SMALLEST_SIDE = 32  # px
LONGEST_ASPECT = 4  # to 1
LONGEST_CAPTION = 2000  # characters
NOTED_ENLARGEMENT = 1.5  # times that a picture is enlarged


class UnusableFile(Exception):
    """Why a file cannot be used. size: as far as it is known."""

    def __init__(self, reason: str, size: Size = (0, 0)):
        super().__init__(reason)
        self.size = size


@dataclass(frozen=True)
class Source:
    """A file as it was sent."""

    name: str
    data: bytes

    @property
    def stem(self) -> str:
        return splitext(self.name)[0].casefold()

    @property
    def is_text(self) -> bool:
        return splitext(self.name)[1].casefold() == ".txt"


@dataclass(frozen=True)
class Options:
    """How pictures are prepared.

    side: of the square that the network was made for, in pixels. Sides of buckets are multiples of
    `step`; the longer is at most `max_stretch` times the shorter.
    """

    side: int
    step: int
    face_crop: bool
    max_megapixels: int
    find_faces: Callable[[Pixels], Sequence[Box]]
    _: KW_ONLY
    restore: Restorer | None = None
    max_stretch: float = 2.0


@dataclass(frozen=True)
class Crop:
    """What was cut from a picture. kind: whole or face; box: pixels of the turned picture."""

    kind: str
    box: Box
    bucket: Size


@dataclass(frozen=True)
class FileReport:
    """Whether a file is used, and why not.

    size: pixels of the turned picture; of one that is not used, as its header has it, or 0 x 0.
    """

    name: str
    used: bool
    _: KW_ONLY
    reason: str = ""
    note: str = ""
    size: Size = (0, 0)
    crops: tuple[Crop, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Of values that JSON has."""
        crops = [{"kind": c.kind, "box": [*c.box], "bucket": [*c.bucket]} for c in self.crops]
        return vars(self) | {"size": [*self.size], "crops": crops}


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture as the network sees it. face: left, top, right, bottom as shares of `pixels`."""

    name: str
    kind: str
    pixels: Pixels
    caption: str | None
    face: tuple[float, float, float, float] | None


def prepare(files: Sequence[Source], options: Options) -> tuple[list[Photo], list[FileReport]]:
    """The pictures among some files, cropped for training, and a report on each file.

    A face's crop follows the whole picture. Nothing that a file holds raises; what `find_faces`
    and `restore` raise is passed on.
    """
    captions: dict[str, str] = {}
    names: dict[bytes, str] = {}
    used: set[str] = set()
    photos: list[Photo] = []
    reports: dict[int, FileReport] = {}
    # Texts first: a caption may stand behind its picture.
    for at, file in sorted(enumerate(files), key=lambda item: not item[1].is_text):
        try:
            if file.is_text:
                if file.stem in captions:
                    raise UnusableFile("another file is the caption of this name")
                captions[file.stem], reports[at] = _caption(file)
                continue
            if file.data in names:
                raise UnusableFile(f"it is the same file as {names[file.data]}")
            names[file.data] = file.name
            image = decode(file.data, options.max_megapixels)
        except UnusableFile as error:
            reports[at] = FileReport(file.name, used=False, reason=str(error), size=error.size)
        else:
            crops, reports[at] = _cut(file.name, image, captions.get(file.stem), options)
            photos += crops
            used.add(file.stem)
    for at, file in enumerate(files):
        if file.is_text and reports[at].used and file.stem not in used:
            reports[at] = FileReport(
                file.name, used=False, reason="no picture of this name is used"
            )
    return photos, [reports[at] for at in range(len(files))]


def _caption(file: Source) -> tuple[str, FileReport]:
    try:
        text = file.data.decode("utf-8-sig").strip()  # editors of Windows write a mark first
    except UnicodeDecodeError as error:
        raise UnusableFile(f"it is not UTF-8, at byte {error.start}") from None
    if not text:
        raise UnusableFile("it is empty")
    is_long = len(text) > LONGEST_CAPTION
    note = f"cut from {len(text)} to {LONGEST_CAPTION} characters" if is_long else ""
    return text[:LONGEST_CAPTION], FileReport(file.name, used=True, note=note)


def decode(data: bytes, max_megapixels: int) -> Image.Image:
    """A picture's first frame in RGB, turned as it is to be seen, on white where it is transparent.

    Raises UnusableFile; for a size that is refused, before anything is unpacked.
    """
    size = size_of(data)
    if size is None:
        raise UnusableFile("it is no picture (of JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF)")
    _check(size, max_megapixels)
    # Pillow warns of large pictures, which are judged above, and of each tag that is wrong.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(BytesIO(data)) as image:
                _check(image.size, max_megapixels)  # a header can be read in two ways
                image.load()
                return _flat(ImageOps.exif_transpose(image))
        except (UnusableFile, MemoryError):
            raise
        except UnidentifiedImageError:
            raise UnusableFile("it cannot be opened as a picture", size) from None
        except Exception as error:  # of a broken file, Pillow raises what its decoders run into
            raise UnusableFile(f"it cannot be decoded: {error}", size) from error


def _check(size: Size, max_megapixels: int) -> None:
    shown = f"{size[0]} x {size[1]} pixels"
    megapixels = size[0] * size[1] / MEGA
    if megapixels > max_megapixels:
        raise UnusableFile(
            f"{shown} are {megapixels:.4g} megapixels; at most {max_megapixels} fit", size
        )
    if min(size) < SMALLEST_SIDE:
        raise UnusableFile(f"{shown} are too few: each side needs {SMALLEST_SIDE}", size)
    if max(size) > LONGEST_ASPECT * min(size):
        raise UnusableFile(f"{shown} are longer than {LONGEST_ASPECT} to 1", size)


def _flat(image: Image.Image) -> Image.Image:
    if image.mode[0] in "IF":  # Pillow would cut these off at 255
        deep = np.nan_to_num(np.asarray(image, np.float64))
        brightest = 65535 if image.mode.startswith("I;16") else max(1.0, deep.max())
        return Image.fromarray((deep.clip(0) / brightest * 255).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _cut(
    name: str, image: Image.Image, caption: str | None, options: Options
) -> tuple[list[Photo], FileReport]:
    pixels = np.array(image)
    faces = options.find_faces(pixels)
    if options.restore is not None:
        restore_faces(pixels, faces, options.restore)
        image = Image.fromarray(pixels)
    sizes = buckets(options.side, options.step, options.max_stretch)
    bucket = nearest(sizes, image.size)
    face = max(faces, key=lambda box: box.area, default=None)
    whole = cover(image.size, bucket, face)
    crops = [Crop("whole", whole, bucket)]
    notes = []
    if options.face_crop and face:
        box = close_up(image.size, face, options.side)
        crops.append(Crop("face", box, nearest(sizes, (box.width, box.height))))
    elif options.face_crop:
        notes.append("no face was found")
    enlarged = bucket[0] / whole.width
    if enlarged > NOTED_ENLARGEMENT:
        notes.append(f"enlarged {enlarged:.1f} times")
    photos = []
    for crop in crops:
        cut = np.array(image.resize(crop.bucket, Image.Resampling.LANCZOS, box=crop.box))
        shares = face.relative_to(crop.box) if face else None
        photos.append(Photo(name, crop.kind, cut, caption, shares))
    return photos, FileReport(
        name, used=True, note="; ".join(notes), size=image.size, crops=tuple(crops)
    )


def buckets(side: int, step: int, max_stretch: float) -> list[Size]:
    """Sizes of about side * side pixels: for each short side, the two nearest long ones."""
    sizes: set[Size] = set()
    for short in range(step, side + 1, step):
        for steps in (floor(side * side / short / step), ceil(side * side / short / step)):
            if short <= steps * step <= max_stretch * short:
                sizes |= {(short, steps * step), (steps * step, short)}
    return sorted(sizes)


def nearest(sizes: Sequence[Size], size: Size) -> Size:
    """The size of the nearest aspect, by its logarithm."""
    aspect = log(size[0] / size[1])
    return min(sizes, key=lambda size: abs(log(size[0] / size[1]) - aspect))
