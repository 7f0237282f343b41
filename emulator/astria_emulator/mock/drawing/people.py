"""A flat head-and-shoulders figure, with hair, clothes and a few accessories."""

from __future__ import annotations

import math
from dataclasses import dataclass

from astria_emulator.mock.drawing.pen import Chance, Colour, Pen, hexed, mirrored, mix

INK = hexed("2b2630")
_SKINS = ("f7d6c1", "eebd9d", "dca07a", "bd7d55", "925a3a", "69402b")
_HAIRS = ("2c2322", "4b3026", "74472c", "8d8a8c", "b5773c", "dcb672", "9f452c")
_MEN = ("parted", "quiff", "curls", "buzz", "bald")
_WOMEN = ("long", "bob", "bun", "afro", "tail", "wavy")
_CLOTHES = ("crew", "vee", "roll", "jacket", "hood")


@dataclass(frozen=True)
class Person:
    """The looks of one drawn person."""

    skin: Colour
    hair: Colour
    top: Colour
    style: str  # of the hair
    clothes: str
    broad: float  # half the shoulders' width, in figure units
    beard: bool
    glasses: bool
    earrings: bool
    tilt: float  # degrees


def person(pen: Pen, kind: str, who: Chance, look: Chance, turn: int, top: Colour) -> None:
    """Draw a person from y -0.6 down past the bottom; the caption may start at y 0.42.

    kind is man, woman, boy, girl or person; who decides what a model keeps from picture to
    picture, look and turn what changes.
    """
    if kind == "person":
        kind = who.pick(("man", "woman"))
    child = kind in ("boy", "girl")
    male = kind in ("man", "boy")
    skin = who.below(len(_SKINS))
    styles = _MEN[:4] if kind == "boy" else _MEN if male else _WOMEN
    looks = Person(
        skin=hexed(_SKINS[skin]),
        hair=hexed(who.pick(_HAIRS[:2] if skin > 3 else _HAIRS)),
        top=top,
        style=styles[(look.below(len(styles)) + turn) % len(styles)],
        clothes=_CLOTHES[(look.below(len(_CLOTHES)) + turn) % len(_CLOTHES)],
        broad=0.36 if child else 0.5 if male else 0.43,
        beard=kind == "man" and look.happens(0.4),
        glasses=look.happens(0.3),
        earrings=kind == "woman" and look.happens(0.5),
        tilt=look.between(-4, 4),
    )
    pen = pen.flipped(look.happens(0.5))
    head = pen.turned(looks.tilt, 0, 0.05)
    if child:
        head = head.moved(0, 0.05, 1.04)
    _hair_behind(head, looks)
    _body(pen, looks)
    _head(head, looks)
    _hair_in_front(head, looks)
    _extras(head, looks)


def _body(pen: Pen, looks: Person) -> None:
    wide, top = looks.broad, looks.top
    dark, light = mix(top, INK, 0.22), mix(top, (255, 255, 255), 0.25)
    shadow = mix(looks.skin, hexed("7a3d33"), 0.3)
    outline = [(0.0, 0.1), (0.1, 0.105), (wide * 0.62, 0.19), (wide * 0.95, 0.27)]
    outline += [(wide * 1.12, 0.45), (wide * 1.2, 1.0), (wide * 1.2, 1.7), (wide * 1.2, 1.7)]
    if looks.clothes == "hood":
        pen.blob(mirrored([(0.0, 0.0), (0.17, 0.03), (0.25, 0.13), (0.2, 0.26), (0, 0.32)]), dark)
    pen.blob(mirrored(outline), top)
    pen.polygon([(-0.085, -0.1), (0.085, -0.1), (0.09, 0.14), (-0.09, 0.14)], looks.skin)
    if looks.clothes == "vee":
        pen.blob(
            [(-0.1, 0.1), (0.1, 0.1), (0.1, 0.1), (0, 0.32), (0, 0.32), (-0.1, 0.1)], looks.skin
        )
        pen.stroke([(-0.1, 0.1), (-0.05, 0.22), (0, 0.32), (0.05, 0.22), (0.1, 0.1)], 0.022, dark)
    elif looks.clothes == "roll":
        pen.blob(mirrored([(0, 0.03), (0.095, 0.02), (0.108, 0.1), (0.11, 0.17), (0, 0.19)]), light)
    elif looks.clothes == "jacket":
        pen.blob(
            [(-0.1, 0.1), (0.1, 0.1), (0.1, 0.1), (0, 0.5), (0, 0.5), (-0.1, 0.1)], (246, 243, 238)
        )
        pen.stroke([(0, 0.48), (0, 1.7)], 0.014, dark)
        pen.ellipse(0, 0.11, 0.088, 0.05, looks.skin)
        for side in (-1, 1):
            lapel = [(side * 0.09, 0.085), (side * 0.2, 0.2), (side * 0.13, 0.26)]
            pen.polygon([*lapel, (side * 0.17, 0.3), (0, 0.53), (side * 0.075, 0.2)], dark)
    else:
        pen.ellipse(0, 0.125, 0.125, 0.075, dark if looks.clothes == "hood" else light)
        pen.ellipse(0, 0.115, 0.1, 0.055, looks.skin)
        pen.polygon([(-0.085, 0.02), (0.085, 0.02), (0.09, 0.12), (-0.09, 0.12)], looks.skin)
    if looks.clothes == "hood":
        for side in (-1, 1):
            pen.stroke(
                [(side * 0.07, 0.18), (side * 0.08, 0.27), (side * 0.07, 0.36)], 0.014, light
            )
    if looks.clothes != "roll":
        pen.blob(mirrored([(0, 0.0), (0.085, -0.06), (0.085, 0.03), (0, 0.075)]), shadow)


def _head(pen: Pen, looks: Person) -> None:
    skin, blush = looks.skin, mix(looks.skin, hexed("e0555a"), 0.22)
    shade = mix(skin, hexed("7a3d33"), 0.22)
    for side in (-1, 1):
        pen.ellipse(side * 0.2, -0.235, 0.035, 0.052, skin)
        pen.ellipse(side * 0.203, -0.235, 0.016, 0.028, shade)
    jaw = 0.118 if looks.broad > 0.45 else 0.1
    outline = [(0.0, -0.505), (0.105, -0.475), (0.175, -0.39), (0.198, -0.26), (0.175, -0.11)]
    pen.blob(mirrored([*outline, (jaw, -0.02), (0, 0.012)]), skin)
    if looks.beard:
        beard = [(0.0, -0.125), (0.07, -0.13), (0.13, -0.16), (0.192, -0.28), (0.197, -0.2)]
        beard += [(0.178, -0.09), (0.115, 0.005), (0, 0.04)]
        pen.blob(mirrored(beard), looks.hair)
    brow = mix(looks.hair, INK, 0.35)
    for side in (-1, 1):
        pen.ellipse(side * 0.08, -0.235, 0.018, 0.022, INK)
        pen.disc(side * 0.08 + 0.006, -0.243, 0.006, (255, 255, 255))
        pen.stroke(
            [(side * 0.052, -0.292), (side * 0.082, -0.302), (side * 0.113, -0.29)], 0.015, brow
        )
        if not looks.beard:
            pen.ellipse(side * 0.118, -0.165, 0.034, 0.024, blush)
    pen.stroke([(0.0, -0.215), (0.016, -0.165), (-0.008, -0.158)], 0.012, shade)
    mouth = [(-0.058, -0.094), (-0.032, -0.077), (0.0, -0.07), (0.032, -0.077), (0.058, -0.094)]
    pen.stroke(mouth, 0.016, mix(skin, (255, 255, 255), 0.5) if looks.beard else hexed("a63d45"))


def _hair_behind(pen: Pen, looks: Person) -> None:
    hair = mix(looks.hair, INK, 0.25)
    crown = [(0.0, -0.58), (0.145, -0.52), (0.22, -0.38)]
    if looks.style == "long":
        pen.blob(mirrored([*crown, (0.255, -0.2), (0.27, 0.2), (0.2, 0.3)]), hair)
    elif looks.style == "wavy":
        side = [(0.24, -0.26), (0.235, -0.13), (0.295, 0.0), (0.265, 0.14), (0.31, 0.26)]
        pen.blob(mirrored([*crown, *side, (0.17, 0.33)]), hair)
    elif looks.style == "bob":
        pen.blob(mirrored([*crown, (0.26, -0.2), (0.25, 0.02), (0.12, 0.06)]), hair)
    elif looks.style == "bun":
        pen.disc(0, -0.59, 0.1, looks.hair)
    elif looks.style == "tail":
        pen.blob(
            [(0.1, -0.5), (0.3, -0.52), (0.39, -0.3), (0.33, 0.08), (0.27, -0.2), (0.12, -0.4)],
            hair,
        )
    elif looks.style == "afro":
        for step in range(14):
            angle = math.pi * (1.25 * step / 13 - 0.125)
            pen.disc(0.235 * math.cos(angle), -0.33 - 0.215 * math.sin(angle), 0.105, hair)


def _hair_in_front(pen: Pen, looks: Person) -> None:
    hair, style = looks.hair, looks.style
    outer = [(-0.2, -0.24), (-0.217, -0.37), (-0.145, -0.52), (0.0, -0.58)]
    outer += [(0.145, -0.52), (0.217, -0.37), (0.2, -0.24), (0.2, -0.24)]
    if style == "parted":
        line = [(0.175, -0.33), (0.13, -0.385), (-0.03, -0.385), (-0.11, -0.445), (-0.165, -0.36)]
        pen.blob([*outer, *line, (-0.2, -0.24)], hair)
    elif style == "quiff":
        tall = [(-0.2, -0.25), (-0.222, -0.4), (-0.17, -0.54), (-0.03, -0.62), (0.14, -0.58)]
        line = [(0.215, -0.4), (0.2, -0.25), (0.2, -0.25), (0.17, -0.36), (0.08, -0.435)]
        pen.blob([*tall, *line, (-0.08, -0.41), (-0.17, -0.36), (-0.2, -0.25)], hair)
    elif style in ("curls", "afro"):
        for step in range(9):
            angle = math.pi * (1.08 * step / 8 - 0.04)
            pen.disc(0.165 * math.cos(angle), -0.375 - 0.12 * math.sin(angle), 0.072, hair)
        pen.ellipse(0, -0.48, 0.15, 0.075, hair)
    elif style == "buzz":
        line = [(0.18, -0.35), (0.13, -0.42), (0.0, -0.435), (-0.13, -0.42), (-0.18, -0.35)]
        near = [(x * 0.93, -0.25 + (y + 0.25) * 0.88) for x, y in outer]
        pen.blob([*near, *line, near[0]], mix(hair, looks.skin, 0.2))
    elif style == "bob":
        line = [(0.18, -0.33), (0.13, -0.345), (0.0, -0.35), (-0.13, -0.345), (-0.18, -0.33)]
        pen.blob([*outer, *line, (-0.2, -0.24)], hair)
        for side in (-1, 1):
            lock = [(0.19, -0.38), (0.245, -0.2), (0.225, 0.02), (0.165, 0.0), (0.185, -0.25)]
            pen.blob([(side * x, y) for x, y in lock], hair)
    elif style in ("long", "bun"):
        line = [(0.185, -0.33), (0.12, -0.42), (0.0, -0.5), (0.0, -0.5), (-0.12, -0.42)]
        pen.blob([*outer, *line, (-0.185, -0.33), (-0.2, -0.24)], hair)
    elif style in ("wavy", "tail"):
        line = [(0.185, -0.33), (0.08, -0.39), (-0.09, -0.465), (-0.09, -0.465), (-0.165, -0.38)]
        pen.blob([*outer, *line, (-0.2, -0.24)], hair)
    if style in ("long", "wavy"):
        for side in (-1, 1):
            lock = [(0.19, -0.39), (0.243, -0.25), (0.25, 0.05), (0.235, 0.27), (0.18, 0.2)]
            pen.blob([(side * x, y) for x, y in [*lock, (0.195, -0.1), (0.17, -0.3)]], hair)


def _extras(pen: Pen, looks: Person) -> None:
    if looks.glasses:
        for side in (-1, 1):
            ring = [
                (
                    side * 0.083 + 0.06 * math.cos(a * math.pi / 8),
                    -0.232 + 0.052 * math.sin(a * math.pi / 8),
                )
                for a in range(17)
            ]
            pen.stroke(ring, 0.012, INK)
            pen.stroke([(side * 0.143, -0.245), (side * 0.195, -0.26)], 0.012, INK)
        pen.stroke([(-0.024, -0.238), (0.0, -0.248), (0.024, -0.238)], 0.012, INK)
    if looks.earrings and looks.style not in ("long", "wavy", "bob"):
        for side in (-1, 1):
            pen.disc(side * 0.205, -0.165, 0.018, hexed("f2c14e"))
