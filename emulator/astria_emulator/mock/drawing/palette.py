"""Matching colours around a hue, and a gradient of two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from astria_emulator.mock.drawing.pen import Colour, mix, oklch

if TYPE_CHECKING:
    from PIL.Image import Image

# (light, chroma) at either end of the gradient and the turn of hue between them
MOODS = (
    (0.93, 0.045, 0.79, 0.105, 0.11),
    (0.86, 0.085, 0.70, 0.130, -0.10),
    (0.82, 0.100, 0.64, 0.135, 0.14),
    (0.72, 0.115, 0.54, 0.125, -0.12),
)


@dataclass(frozen=True)
class Palette:
    """The colours of one picture."""

    start: Colour  # of the gradient
    end: Colour
    deep: Colour  # for the caption panel
    accent: Colour
    second: Colour
    pale: Colour


def palette(hue: float, mood: int) -> Palette:
    """Return matching colours around a hue (in turns)."""
    light, chroma, low, rich, turn = MOODS[mood % len(MOODS)]
    # Dark yellow is brown or olive: these hues are kept lighter.
    low += 0.14 * max(math.cos((hue + turn - 0.24) * 2 * math.pi), 0.0)
    light += (0.94 - light) * 0.6 * max(math.cos((hue - 0.26) * 2 * math.pi), 0.0)
    return Palette(
        start=oklch(light, chroma, hue),
        end=oklch(low, rich, hue + turn),
        deep=oklch(0.23, 0.04, hue + turn),
        accent=oklch(0.64, 0.15, hue + 0.42),
        second=oklch(0.80, 0.13, hue + 0.58),
        pale=oklch(0.96, 0.03, hue),
    )


def gradient(size: tuple[int, int], start: Colour, end: Colour, lean: float) -> Image:
    """Return an image that runs from start at the top to end; lean -1..1 tilts it."""
    from PIL import Image

    side = 16
    small = Image.new("RGB", (side, side))
    for y in range(side):
        for x in range(side):
            share = (y + lean * (x - side / 2)) / side
            colour = mix(start, end, min(max(share, 0.0), 1.0))
            small.putpixel((x, y), (colour[0], colour[1], colour[2]))
    return small.resize(size, Image.Resampling.BILINEAR)
