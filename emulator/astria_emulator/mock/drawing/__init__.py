"""The pictures and clips that the mock hands out in place of generated ones."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from astria_emulator.mock.drawing.caption import caption, draw_badge, draw_panel, text_size
from astria_emulator.mock.drawing.pen import Pen, hexed
from astria_emulator.mock.drawing.scene import scene
from astria_emulator.mock.drawing.text import ASSETS, printable, type_of

if TYPE_CHECKING:
    from PIL.Image import Image

CLIP_ASPECTS = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9")
_QUALITY = 85
_SMALLEST_WITH_BADGE = 320  # pixels of the shorter side


@dataclass(frozen=True)
class Picture:
    """What a drawn picture shows; everything that its bytes depend on."""

    width: int  # pixels, 64..8192
    height: int
    text: str  # the prompt's text; any characters, any length
    seed: int
    index: int  # which of the prompt's images, from 0
    subject: str  # the class name: man, woman, cat, dog, style, dress, ...; may be empty
    tune: str  # e.g. "tune 5000001 Jane Doe"


def draw_jpeg(picture: Picture) -> bytes:
    """Return the picture as a baseline JPEG; the same picture gives the same bytes."""
    size = (picture.width, picture.height)
    panel = caption(picture)
    image, colours = scene(
        size,
        panel.top / picture.height,
        picture.subject,
        (picture.tune, f"{picture.seed}\x1e{picture.text}"),
        picture.index,
    )
    draw_panel(image, panel, colours.deep)
    if min(size) >= _SMALLEST_WITH_BADGE:
        draw_badge(image, text_size(*size) * 0.84, colours.deep)
    return _jpeg(image)


def draw_reference(width: int, height: int, label: str) -> bytes:
    """Return a plain card, as JPEG, in place of a photo that the mock did not download.

    width and height are 64..8192 pixels; the label, e.g. the photo's URL, may be any text.
    """
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (width, height), "#efece6")
    unit = min(width, height) * 0.2
    middle = round(height * 0.36)
    side = round(unit * 2.2)
    frame = Image.new("RGB", (side * 2, side * 2), "#efece6")
    _draw_frame(Pen(ImageDraw.Draw(frame), side, side, unit * 2))
    image.paste(frame.reduce(2), ((width - side) // 2, middle - side // 2))
    draw = ImageDraw.Draw(image)
    font = type_of(text_size(width, height))
    top, step = round(middle + unit), round(font.size * 1.35)
    most = min((height - top - font.size) // step, 4)
    for row, text in enumerate(font.wrapped(printable(label), width * 0.86, most)):
        place = (round((width - font.width(text)) / 2), top + row * step)
        draw.text(place, text, font=font.font, fill="#5d5a53")
    return _jpeg(image)


def _draw_frame(pen: Pen) -> None:
    line, hills = hexed("a9a59b"), hexed("c6c2b9")
    for grow, fill in ((0.0, line), (0.07, hexed("faf9f6"))):
        wide, high = 1.0 - grow, 0.75 - grow
        corners = [(-wide, -high), (wide, -high), (wide, high), (-wide, high)]
        pen.polygon(corners, fill)
    pen.polygon([(-0.75, 0.5), (-0.2, -0.2), (0.35, 0.5)], hills)
    pen.polygon([(0.0, 0.5), (0.4, 0.05), (0.75, 0.5)], hills)
    pen.disc(0.42, -0.34, 0.12, line)


def clip(aspect: str) -> bytes:
    """Return the mp4 of the bundled clip whose shape is nearest to an aspect like "16:9".

    Text that is no aspect counts as 16:9.
    """
    found = re.fullmatch(r"\s*(\d{1,6})\s*[:x/]\s*(\d{1,6})\s*", aspect)
    wide, high = (int(found[1]), int(found[2])) if found else (16, 9)
    wanted = math.log(max(wide, 1) / max(high, 1))

    def distance(name: str) -> float:
        one, other = name.split(":")
        return abs(math.log(int(one) / int(other)) - wanted)

    nearest = min(CLIP_ASPECTS, key=distance)
    return (ASSETS / "clips" / f"{nearest.replace(':', 'x')}.mp4").read_bytes()


def _jpeg(image: Image) -> bytes:
    out = BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
