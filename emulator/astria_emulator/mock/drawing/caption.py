"""The caption of a picture: which lines fit, and the panel they stand on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from astria_emulator.mock.drawing.pen import Colour, faded
from astria_emulator.mock.drawing.text import Type, printable, type_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from astria_emulator.mock.drawing import Picture

_WHITE = (255, 255, 255)


@dataclass(frozen=True)
class _Row:
    """One line of a caption: text at the left and, perhaps, at the right."""

    type: Type
    colour: Colour
    left: str
    right: str = ""
    gap: int = 0  # pixels above it

    @property
    def height(self) -> int:
        return round(self.type.size * 1.32) + self.gap


@dataclass(frozen=True)
class Panel:
    """A caption: where its box lies in the picture, in pixels, and its lines."""

    left: int
    top: int
    right: int
    bottom: int
    pad: int
    rows: list[_Row]


def text_size(width: int, height: int) -> float:
    side = min(math.sqrt(width * height), width * 1.25)
    return max(7 + 0.0234 * side, 0.029 * side)


def caption(picture: Picture) -> Panel:
    width, height = picture.width, picture.height
    size = text_size(width, height)
    edge, pad = round(min(width, height) * 0.03), round(size * 0.7)
    room = width - 2 * edge - 2 * pad
    large, small = type_of(size), type_of(size * 0.86)
    seed = f"seed {picture.seed} \u00b7 image {picture.index + 1}"
    if min(width, height) < 160 or small.width(seed) > room:
        return _small_caption(width, height, f"seed {picture.seed}")
    text = printable(picture.text)
    rows = _details(picture, seed, small, room)
    budget = height * 0.4 - edge - 2 * pad
    least = round(large.size * 1.32) if text else 0
    while len(rows) > 1 and least + sum(row.height for row in rows) > budget:
        rows.pop()
    spare = int((budget - sum(row.height for row in rows)) / (large.size * 1.32))
    lines = large.wrapped(text, room, max(min(spare, 4), 1))
    if lines:
        rows[0] = replace(rows[0], gap=round(size * 0.25))
    rows = [*(_Row(large, _WHITE, line) for line in lines), *rows]
    top = height - edge - 2 * pad - sum(row.height for row in rows)
    return Panel(edge, top, width - edge, height - edge, pad, rows)


def _details(picture: Picture, seed: str, font: Type, room: float) -> list[_Row]:
    tune, grey = printable(picture.tune), (*_WHITE, 205)
    if font.width(tune) + font.width("    ") + font.width(seed) <= room:
        return [_Row(font, grey, seed, tune)]
    return [_Row(font, grey, seed), _Row(font, grey, font.fitted(tune, room))]


def _small_caption(width: int, height: int, seed: str) -> Panel:
    largest = min(height * 0.17, width * 0.17, 22)
    for text, size in ((seed, largest), (seed, largest * 0.8), (seed[5:], largest * 0.8)):
        font = type_of(size)
        pad = round(font.size * 0.3)
        if font.width(text) <= width - 2 * pad:
            break
    top = height - 2 * pad - font.size
    return Panel(0, top, width, height, pad, [_Row(font, _WHITE, text)])


def draw_panel(image: Image, panel: Panel, deep: Colour) -> None:
    from PIL import Image, ImageDraw

    box = (panel.left, panel.top, panel.right, panel.bottom)
    wide, high = panel.right - panel.left, panel.bottom - panel.top
    # Shrinking and enlarging is a blur that costs next to nothing.
    behind = image.crop(box).resize((12, 6), Image.Resampling.BOX)
    behind = Image.blend(behind, Image.new("RGB", (12, 6), deep[:3]), 0.74)
    glass = behind.resize((wide, high), Image.Resampling.BICUBIC)
    mask = Image.new("L", (wide, high), 0)
    radius = panel.pad if panel.left else 0
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, wide - 1, high - 1), radius, fill=255)
    image.paste(glass, box, mask)
    draw = ImageDraw.Draw(image, "RGBA")
    y = panel.top + panel.pad
    for row in panel.rows:
        y += row.gap
        draw.text((panel.left + panel.pad, y), row.left, font=row.type.font, fill=row.colour)
        if row.right:
            x = panel.right - panel.pad - round(row.type.width(row.right))
            draw.text((x, y), row.right, font=row.type.font, fill=row.colour)
        y += row.height - row.gap


def draw_badge(image: Image, size: float, deep: Colour) -> None:
    from PIL import ImageDraw

    font = type_of(size)
    draw = ImageDraw.Draw(image, "RGBA")
    edge, pad = round(min(image.size) * 0.03), round(font.size * 0.6)
    wide, high = round(font.width("mock")) + 2 * pad, round(font.size * 1.6)
    box = (image.width - edge - wide, edge, image.width - edge, edge + high)
    draw.rounded_rectangle(box, high // 2, fill=faded(deep, 0.45))
    place = (box[0] + pad, edge + high / 2)
    draw.text(place, "mock", font=font.font, fill=_WHITE, anchor="lm")
