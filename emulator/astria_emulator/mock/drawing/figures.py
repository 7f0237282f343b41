"""Flat animals, garments and abstract compositions."""

from __future__ import annotations

import math

from astria_emulator.mock.drawing.pen import Chance, Colour, Pen, hexed, mirrored, mix

_INK = hexed("2b2630")
_WHITE = hexed("fbf8f3")
_CATS = ("e8954a", "8b8f9a", "4a4550", "e9d3b4", "a8785a", "f3efe8")
_DOGS = ("c98d54", "8a5a3b", "e6c79c", "5a5460", "f0e9dd", "b5653a")


def cat(pen: Pen, who: Chance, look: Chance, turn: int, accent: Colour) -> None:
    """Draw a cat from y -0.5 down past the bottom; the caption may start at y 0.42."""
    fur = hexed(who.pick(_CATS))
    dark, pale = mix(fur, _INK, 0.28), mix(fur, (255, 255, 255), 0.55)
    striped, bib = who.happens(0.6), who.happens(0.6)
    eyes = hexed(who.pick(("8fc15a", "e2b53e", "6fb3d9")))
    pen = pen.flipped(look.happens(0.5))
    pen.blob(
        mirrored([(0, 0), (0.2, 0.06), (0.33, 0.3), (0.4, 0.7), (0.42, 1.7), (0.42, 1.7)]), fur
    )
    if bib:
        pen.blob(mirrored([(0, 0.08), (0.15, 0.12), (0.16, 0.32), (0, 0.52)]), pale)
    collar = [(-0.24, 0.14), (0, 0.24), (0.24, 0.14)]
    head = pen.turned(look.between(-7, 7), 0, 0.1)
    if turn % 2 or look.happens(0.3):
        pen.stroke(collar, 0.05, accent)
        pen.disc(0, 0.275, 0.042, hexed("f2c14e"))
    for side in (-1, 1):
        ear = [(0.05, -0.3), (0.05, -0.3), (0.255, -0.53), (0.285, -0.53), (0.325, -0.16)]
        head.blob([(side * x, y) for x, y in ear], fur)
        inner = [(0.14, -0.31), (0.14, -0.31), (0.255, -0.45), (0.275, -0.44), (0.285, -0.24)]
        head.blob([(side * x, y) for x, y in inner], hexed("eea7a0"))
    cheeks = [(0.0, -0.39), (0.2, -0.355), (0.325, -0.22), (0.35, -0.06), (0.25, 0.1), (0, 0.16)]
    head.blob(mirrored(cheeks), fur)
    if striped:
        for x, low in ((-0.08, -0.26), (0.0, -0.22), (0.08, -0.26)):
            head.stroke([(x, -0.37), (x, (low - 0.37) / 2), (x, low)], 0.028, dark)
        for side in (-1, 1):
            for y in (-0.08, 0.0):
                head.stroke([(side * 0.325, y), (side * 0.27, y + 0.005)], 0.022, dark)
    for side in (-1, 1):
        head.ellipse(side * 0.075, 0.055, 0.095, 0.07, pale)
    asleep = look.happens(0.2)
    for side in (-1, 1):
        if asleep:
            lid = [(side * 0.08, -0.1), (side * 0.14, -0.07), (side * 0.2, -0.1)]
            head.stroke(lid, 0.02, _INK)
            continue
        head.ellipse(side * 0.14, -0.1, 0.062, 0.066, eyes)
        head.ellipse(side * 0.14, -0.1, 0.026, 0.056, _INK)
        head.disc(side * 0.14 + 0.018, -0.125, 0.014, (255, 255, 255))
    head.blob([(-0.042, -0.01), (0.042, -0.01), (0.0, 0.035)], hexed("d9727a"))
    line = mix(dark, _INK, 0.6)
    for side in (-1, 1):
        head.stroke([(0, 0.035), (side * 0.035, 0.075), (side * 0.08, 0.065)], 0.013, line)
        for rise in (-0.035, 0.0, 0.035):
            whisker = [(side * 0.17, 0.04 + rise / 2), (side * 0.42, 0.03 + rise * 2)]
            head.stroke(whisker, 0.007, mix(pale, (255, 255, 255), 0.5))


def dog(pen: Pen, who: Chance, look: Chance, turn: int, accent: Colour) -> None:
    """Draw a dog from y -0.55 down past the bottom; the caption may start at y 0.42."""
    fur = hexed(who.pick(_DOGS))
    dark, pale = mix(fur, _INK, 0.35), mix(fur, (255, 255, 255), 0.6)
    upright, patch = who.happens(0.35), who.happens(0.5)
    pen = pen.flipped(look.happens(0.5))
    pen.blob(
        mirrored([(0, 0), (0.2, 0.04), (0.35, 0.28), (0.42, 0.7), (0.44, 1.7), (0.44, 1.7)]), fur
    )
    pen.blob(mirrored([(0, 0.1), (0.14, 0.16), (0.17, 0.36), (0, 0.58)]), pale)
    pen.stroke([(-0.23, 0.16), (0, 0.26), (0.23, 0.16)], 0.055, accent)
    pen.disc(0, 0.3, 0.045, hexed("f2c14e"))
    head = pen.turned(look.between(-8, 8), 0, 0.12)
    for side in (-1, 1):
        if upright:
            ear = [(0.06, -0.4), (0.06, -0.4), (0.2, -0.58), (0.26, -0.56), (0.28, -0.2)]
            inner = [(0.14, -0.4), (0.2, -0.51), (0.235, -0.49), (0.245, -0.3)]
            head.blob([(side * x, y) for x, y in ear], dark)
            head.blob([(side * x, y) for x, y in inner], hexed("d99a8c"))
    skull = [(0.0, -0.45), (0.17, -0.42), (0.265, -0.28), (0.27, -0.1), (0.2, 0.08), (0, 0.19)]
    head.blob(mirrored(skull), fur)
    if patch:
        head.ellipse(0.125, -0.18, 0.105, 0.12, dark)
    else:
        head.blob(
            mirrored([(0, -0.45), (0.05, -0.42), (0.045, -0.2), (0.08, 0.0), (0, 0.05)]), pale
        )
    happy = turn % 2 == 0
    if happy:
        head.blob(
            [(-0.06, 0.1), (0.06, 0.1), (0.058, 0.21), (0, 0.25), (-0.058, 0.21)], hexed("e8777f")
        )
    head.blob(mirrored([(0, -0.07), (0.12, -0.05), (0.19, 0.05), (0.13, 0.14), (0, 0.145)]), pale)
    head.blob(mirrored([(0, -0.065), (0.07, -0.06), (0.075, -0.02), (0, 0.03)]), _INK)
    head.ellipse(-0.022, -0.045, 0.016, 0.009, mix(_INK, (255, 255, 255), 0.5))
    for side in (-1, 1):
        head.stroke([(0, 0.03), (0, 0.06), (side * 0.05, 0.092), (side * 0.11, 0.072)], 0.014, _INK)
        head.ellipse(side * 0.12, -0.17, 0.034, 0.04, _INK)
        head.disc(side * 0.12 + 0.011, -0.185, 0.011, (255, 255, 255))
        if not upright:
            ear = [
                (0.12, -0.44),
                (0.27, -0.4),
                (0.36, -0.2),
                (0.37, 0.02),
                (0.29, 0.06),
                (0.235, -0.1),
            ]
            head.blob([(side * x, y) for x, y in [*ear, (0.22, -0.3)]], dark)


def dress(pen: Pen, look: Chance, turn: int, cloth: Colour, trim: Colour) -> None:
    """Draw a dress on a hanger within -0.5..0.5."""
    _hanger(pen, -0.41)
    dark = mix(cloth, _INK, 0.2)
    hem = (0.28, 0.34, 0.4)[turn % 3]
    length = look.between(0.42, 0.5)
    side = [(0.0, -0.24), (0.07, -0.26), (0.135, -0.4), (0.165, -0.4), (0.165, -0.4), (0.17, -0.22)]
    side += [(0.125, -0.04), (0.125, -0.04), (hem * 0.75, 0.25), (hem, length), (hem, length)]
    pen.blob(mirrored([*side, (0.0, length + 0.025)]), cloth)
    for x in (-0.45, 0.0, 0.45):
        pen.stroke([(x * 0.15, 0.03), (x * hem * 0.73, 0.25), (x * hem, length - 0.06)], 0.01, dark)
    if look.happens(0.5):
        for row, y in enumerate((0.1, 0.2, 0.3)):
            half = (0.1 + (hem * 0.75 - 0.1) * (y + 0.04) / 0.29) * 0.72
            for step in range(-1 - row, 2 + row):
                pen.disc(step * half / (1 + row), y, 0.016, trim)
    else:
        band = [(-hem * 0.93, length - 0.07), (0, length - 0.045), (hem * 0.93, length - 0.07)]
        pen.stroke(band, 0.03, trim)
    pen.stroke([(-0.118, -0.04), (0, -0.03), (0.118, -0.04)], 0.035, trim)


def shirt(pen: Pen, look: Chance, turn: int, cloth: Colour, trim: Colour) -> None:
    """Draw a shirt on a hanger within -0.5..0.5."""
    _hanger(pen, -0.36)
    dark = mix(cloth, _INK, 0.2)
    reach = (0.06, 0.3)[turn % 2]
    for side in (-1, 1):
        sleeve = [
            (0.2, -0.32),
            (0.3, -0.25),
            (0.47 - reach * 0.2, reach),
            (0.36 - reach * 0.2, reach + 0.06),
        ]
        sleeve = [(side * x, y) for x, y in [*sleeve, (0.2, -0.05)]]
        pen.polygon(sleeve, dark)
        pen.stroke([sleeve[2], sleeve[3]], 0.035, trim)
    body = [(0.0, -0.28), (0.08, -0.34), (0.1, -0.36), (0.1, -0.36), (0.25, -0.3), (0.27, -0.27)]
    body += [(0.245, 0.0), (0.25, 0.42), (0.25, 0.42)]
    pen.blob(mirrored([*body, (0.0, 0.435)]), cloth)
    pen.stroke(
        [(-0.1, -0.355), (-0.06, -0.28), (0, -0.255), (0.06, -0.28), (0.1, -0.355)], 0.035, trim
    )
    if look.happens(0.5):
        for y in (-0.06, 0.03, 0.12):
            pen.stroke([(-0.225, y), (0.225, y)], 0.035, trim)
    else:
        pen.disc(0, -0.02, 0.1, trim)
        pen.polygon([(-0.05, 0.03), (0.0, -0.08), (0.05, 0.03)], cloth)


def shoes(pen: Pen, look: Chance, turn: int, cloth: Colour, trim: Colour) -> None:
    """Draw a pair of trainers within -0.5..0.5."""
    pen = pen.flipped(turn % 2 == 1)
    for x, y, scale, body in (
        (0.07, -0.16, 0.86, mix(cloth, _INK, 0.25)),
        (-0.03, 0.12, 1.0, cloth),
    ):
        one = pen.moved(x, y, scale)
        upper = [
            (-0.4, 0.14),
            (-0.41, -0.1),
            (-0.39, -0.2),
            (-0.32, -0.22),
            (-0.16, -0.18),
            (-0.1, -0.2),
        ]
        upper += [(0.04, -0.05), (0.3, 0.02), (0.42, 0.1), (0.42, 0.16), (0.0, 0.17)]
        one.blob(upper, body)
        one.blob([(-0.4, 0.12), (-0.4, -0.05), (-0.3, 0.02), (-0.27, 0.13)], trim)
        one.blob([(0.27, 0.13), (0.26, 0.03), (0.38, 0.05), (0.43, 0.13)], trim)
        one.stroke([(-0.4, 0.15), (0.0, 0.165), (0.41, 0.15)], 0.07, _WHITE)
        one.stroke([(-0.4, 0.195), (0.0, 0.205), (0.4, 0.195)], 0.02, mix(trim, _INK, 0.35))
        for step in range(4):
            lace = one.moved(-0.1 + step * 0.065, -0.135 + step * 0.045)
            lace.stroke([(0.0, 0.02), (0.055, -0.03)], 0.02, _WHITE)
        if look.happens(0.6):
            one.stroke([(-0.24, 0.08), (-0.1, 0.05), (0.06, -0.02)], 0.03, trim)


def _hanger(pen: Pen, y: float) -> None:
    wood = hexed("9b7653")
    pen.stroke([(-0.2, y + 0.075), (0.0, y), (0.2, y + 0.075)], 0.02, wood)
    hook = [(math.cos(a * 0.4 - 2.6) * 0.035, math.sin(a * 0.4 - 2.6) * 0.035) for a in range(11)]
    pen.stroke([*((x, y - 0.075 + dy) for x, dy in hook), (0.0, y)], 0.014, _INK)
