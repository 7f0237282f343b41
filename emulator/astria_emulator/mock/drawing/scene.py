"""The scene of a picture: palette, gradient, background shapes and the subject's figure."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from astria_emulator.mock.drawing import figures
from astria_emulator.mock.drawing.palette import MOODS, Palette, gradient, palette
from astria_emulator.mock.drawing.pen import Chance, Colour, Pen, faded, mix, smooth
from astria_emulator.mock.drawing.people import person

if TYPE_CHECKING:
    from PIL.Image import Image

_WORDS = {
    "man": "man male gentleman groom actor king father husband businessman guy",
    "woman": "woman female lady bride actress queen mother wife businesswoman",
    "boy": "boy son",
    "girl": "girl daughter",
    "person": "person people human portrait headshot face model child kid baby couple",
    "cat": "cat kitten kitty",
    "dog": "dog puppy",
    "dress": "dress gown skirt",
    "shirt": "shirt tshirt blouse top hoodie sweater jacket coat garment clothing clothes fashion",
    "shoes": "shoes shoe sneaker sneakers boot boots",
}
_KINDS = {word: kind for kind, words in _WORDS.items() for word in words.split()}
_BUSTS = {"man", "woman", "boy", "girl", "person", "cat", "dog"}


def kind_of(subject: str) -> str:
    """Return which figure stands for a subject; "abstract" for one that has none."""
    words = re.findall(r"[a-z]+", subject[:200].lower())
    return next((_KINDS[word] for word in words if word in _KINDS), "abstract")


def scene(
    size: tuple[int, int],
    floor: float,
    subject: str,
    seeds: tuple[str, str],
    index: int,
) -> tuple[Image, Palette]:
    """Return the picture without its caption, and its palette.

    size is in pixels, floor (0..1) is the share of the height that lies above the caption,
    seeds are what the looks of the model and what those of the one image depend on.
    """
    from PIL import Image, ImageDraw

    base = Chance("base", *seeds)
    # The golden ratio spreads the hues of a prompt's images as far apart as can be.
    colours = palette(base.between(0, 1) + index * 0.618034, base.below(len(MOODS)) + index)
    shapes = base.below(5) + index
    look = Chance("look", index, *seeds)
    who = Chance("who", seeds[0], subject)

    # Drawn at twice the size for smooth edges, and never larger than is worth its time.
    fine = min(2.0, 4096 / max(size))
    width, height = max(round(size[0] * fine), 1), max(round(size[1] * fine), 1)
    image = gradient((width, height), colours.start, colours.end, look.between(-0.6, 0.6))
    draw = ImageDraw.Draw(image, "RGBA")
    room = height * floor
    kind = kind_of(subject)
    bust = kind in _BUSTS
    unit = min(room * 0.86, width * 0.86) if bust else min(room * 0.84, width * 0.84)
    pen = Pen(draw, width / 2, room - 0.42 * unit if bust else room * 0.52, unit)
    _background(pen, shapes, look, colours, (width / unit / 2, pen.y / unit))
    turn = base.below(12) + index
    if kind == "cat":
        figures.cat(pen, who, look, turn, colours.accent)
    elif kind == "dog":
        figures.dog(pen, who, look, turn, colours.accent)
    elif bust:
        person(
            pen,
            kind,
            who,
            look,
            turn,
            look.pick((colours.accent, colours.second, mix(colours.deep, colours.end, 0.4))),
        )
    elif kind == "dress":
        figures.dress(pen, look, turn, colours.accent, colours.second)
    elif kind == "shirt":
        figures.shirt(pen, look, turn, colours.accent, colours.second)
    elif kind == "shoes":
        figures.shoes(pen, look, turn, colours.accent, colours.second)
    else:
        _abstract(pen, look, turn, colours)
    if fine >= 2.0:
        return image.reduce(2), colours
    if fine > 1.0:
        return image.resize(size, Image.Resampling.BOX), colours
    return image.reduce(2).resize(size, Image.Resampling.BICUBIC), colours


def _background(
    pen: Pen, shapes: int, look: Chance, colours: Palette, reach: tuple[float, float]
) -> None:
    wide, high = reach
    soft = faded(colours.pale, 0.3)
    for _ in range(5):
        x, y = look.between(-wide, wide), look.between(-high, 0.3)
        pen.disc(x, y, look.between(0.03, 0.16), faded(colours.pale, look.between(0.08, 0.2)))
    style = shapes % 5
    if style == 0:
        pen.disc(0, -0.12, 0.5, soft)
        pen.disc(0, -0.12, 0.4, soft)
    elif style == 1:
        pen.polygon([*_arch(0.46, -0.1), (-0.46, 3), (0.46, 3)], soft)
    elif style == 2:
        for y, alpha in ((0.02, 0.25), (0.16, 0.3), (0.3, 0.35)):
            swell = look.between(0.03, 0.08)
            ridge = [
                (-wide - 0.2 + step * (wide + 0.2) / 3, y + swell * (-1) ** step)
                for step in range(7)
            ]
            _hill(pen, ridge, faded(mix(colours.end, colours.deep, 0.35), alpha))
        pen.disc(look.pick((-0.32, 0.32)), -0.3, 0.2, faded(colours.pale, 0.5))
    elif style == 3:
        for ring in (0.85, 0.66, 0.48):
            pen.disc(look.pick((-0.12, 0.12)), -0.1, ring, faded(colours.pale, 0.16))
    else:
        tilted = pen.turned(look.pick((-28, 28)))
        for step in range(-4, 5):
            x = step * 0.44
            tilted.polygon(
                [(x, -4), (x + 0.2, -4), (x + 0.2, 4), (x, 4)], faded(colours.pale, 0.16)
            )
        pen.disc(0, -0.14, 0.42, soft)


def _arch(radius: float, y: float) -> list[tuple[float, float]]:
    angles = [math.pi * step / 32 for step in range(33)]
    return [(radius * math.cos(a), y - radius * math.sin(a)) for a in angles]


def _hill(pen: Pen, ridge: list[tuple[float, float]], fill: Colour) -> None:
    pen.polygon([*smooth(ridge, closed=False), (ridge[-1][0], 4), (ridge[0][0], 4)], fill)


def _abstract(pen: Pen, look: Chance, turn: int, colours: Palette) -> None:
    inks = [
        colours.accent,
        colours.second,
        colours.pale,
        mix(colours.deep, colours.end, 0.25),
        mix(colours.end, colours.pale, 0.4),
    ]
    style = turn % 4
    if style == 0:
        cell = 0.28
        for row in range(3):
            for column in range(3):
                x, y = (column - 1) * cell, (row - 1) * cell
                tile = pen.moved(x, y, cell / 2).turned(90 * look.below(4))
                first = look.below(5)
                tile.polygon([(-1, -1), (1, -1), (1, 1), (-1, 1)], inks[first])
                ink = inks[(first + 1 + look.below(4)) % 5]
                if look.happens(0.6):
                    tile.moved(-1, 1).polygon(
                        [(0, 0), *((2 * x, 2 * y) for x, y in _arch(1, 0)[:17])], ink
                    )
                else:
                    tile.disc(0, 0, 0.6, ink)
    elif style == 1:
        for step in range(5):
            radius, band = 0.44 - step * 0.08, inks[(step * 2 + turn) % 5]
            pen.polygon([*_arch(radius, 0.02), (-radius, 0.42), (radius, 0.42)], band)
    elif style == 2:
        for step in range(3):
            place = pen.turned(step * 120 + look.between(-15, 15))
            place.disc(0, -0.17, look.between(0.21, 0.27), faded(inks[step], 0.82))
        pen.disc(0, 0, 0.09, colours.deep)
    else:
        pen.disc(look.between(-0.2, 0.2), -0.18, 0.2, colours.pale)
        for shift, top, which in ((-0.2, -0.1, 4), (0.2, -0.2, 0), (0.0, 0.08, 3)):
            pen.polygon([(shift - 0.34, 0.42), (shift, top), (shift + 0.34, 0.42)], inks[which])
        pen.polygon(
            [(0.2, -0.2), (0.285, -0.045), (0.2, 0.0), (0.115, -0.045)],
            mix(inks[0], colours.pale, 0.7),
        )
