"""Drawing in figure units: a pen over a Pillow canvas, colours, and repeatable chance."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

Colour = tuple[int, ...]  # red, green, blue and optionally alpha, each 0..255
Point = tuple[float, float]
T = TypeVar("T")

_ROUND = [(math.cos(i * math.pi / 32), math.sin(i * math.pi / 32)) for i in range(64)]


class Chance:
    """Repeatable random choices that depend on the given values and on nothing else."""

    def __init__(self, *values: object) -> None:
        text = "\x1f".join(str(value) for value in values)
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        # Only random() is documented to give the same sequence in every Python version.
        self._random = random.Random(int.from_bytes(digest[:16], "big"))

    def between(self, low: float, high: float) -> float:
        """Return a number in low..high."""
        return low + (high - low) * self._random.random()

    def below(self, count: int) -> int:
        """Return a whole number in 0..count-1."""
        return int(self._random.random() * count)

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.below(len(options))]

    def happens(self, share: float) -> bool:
        """Return True in this share (0..1) of the calls."""
        return self._random.random() < share


def oklch(light: float, chroma: float, hue: float) -> Colour:
    """Return the sRGB colour for an OKLCH one; light 0..1, chroma 0..0.3, hue in turns."""
    a = chroma * math.cos(hue * 2 * math.pi)
    b = chroma * math.sin(hue * 2 * math.pi)
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return tuple(_encoded(min(max(value, 0.0), 1.0)) for value in linear)


def _encoded(value: float) -> int:
    if value <= 0.0031308:
        return round(255 * 12.92 * value)
    return round(255 * (1.055 * math.pow(value, 1 / 2.4) - 0.055))


def hexed(code: str) -> Colour:
    """Return the colour of "rrggbb"."""
    return tuple(bytes.fromhex(code))


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return the colour that lies share (0..1) of the way from first to second."""
    pairs = zip(first[:3], second[:3], strict=True)
    return tuple(round(a + (b - a) * share) for a, b in pairs)


def faded(colour: Colour, alpha: float) -> Colour:
    """Return the colour with an opacity of 0..1."""
    return (*colour[:3], round(255 * alpha))


def mirrored(points: Sequence[Point]) -> list[Point]:
    """Return an outline: points from top to bottom on the right, then their mirror image."""
    return [*points, *((-x, y) for x, y in reversed(points) if x)]


def smooth(points: Sequence[Point], closed: bool, steps: int = 12) -> list[Point]:
    """Return a Catmull-Rom curve through the points; a point given twice makes a corner."""
    count = len(points)
    if closed:
        walk = [points[-1], *points, points[0], points[1 % count]]
    else:
        walk = [points[0], *points, points[-1]]
    curve: list[Point] = []
    for (ax, ay), (bx, by), (cx, cy), (dx, dy) in zip(
        walk, walk[1:], walk[2:], walk[3:], strict=False
    ):
        if (bx, by) == (cx, cy):
            continue  # between the two halves of a corner the curve would make a loop
        for step in range(steps):
            t = step / steps
            p, q = t * (t * (2 - t) - 1), t * t * (3 * t - 5) + 2
            r, s = t * (t * (4 - 3 * t) + 1), t * t * (t - 1)
            curve.append(
                ((ax * p + bx * q + cx * r + dx * s) / 2, (ay * p + by * q + cy * r + dy * s) / 2)
            )
    return curve if closed else [*curve, points[-1]]


@dataclass(frozen=True)
class Pen:
    """Draws shapes given in figure units, y downwards, onto a canvas of pixels."""

    draw: ImageDraw
    x: float  # pixels, where the figure's origin lies
    y: float
    unit: float  # pixels per figure unit
    cos: float = 1.0
    sin: float = 0.0
    flip: float = 1.0

    def moved(self, x: float, y: float, scale: float = 1.0) -> Pen:
        """Return a pen whose origin is at x, y of this one."""
        px, py = self._place(x, y)
        return replace(self, x=px, y=py, unit=self.unit * scale)

    def turned(self, degrees: float, x: float = 0.0, y: float = 0.0) -> Pen:
        """Return a pen that draws turned clockwise about x, y."""
        angle = math.radians(degrees)
        cos, sin = math.cos(angle), math.sin(angle)
        turned = replace(
            self, cos=self.cos * cos - self.sin * sin, sin=self.sin * cos + self.cos * sin
        )
        (px, py), (qx, qy) = self._place(x, y), turned._place(x, y)
        return replace(turned, x=self.x + px - qx, y=self.y + py - qy)

    def flipped(self, flip: bool) -> Pen:
        """Return a pen that mirrors left and right when flip is set."""
        return replace(self, flip=-self.flip) if flip else self

    def _place(self, x: float, y: float) -> Point:
        x, y = x * self.unit * self.flip, y * self.unit
        return self.x + x * self.cos - y * self.sin, self.y + x * self.sin + y * self.cos

    def polygon(self, points: Iterable[Point], fill: Colour) -> None:
        """Fill a polygon."""
        # Whole pixels keep tiny floating-point differences of machines out of the picture.
        placed = (self._place(x, y) for x, y in points)
        self.draw.polygon([(round(x), round(y)) for x, y in placed], fill=fill)

    def blob(self, points: Sequence[Point], fill: Colour) -> None:
        """Fill the smooth closed curve through the points."""
        self.polygon(smooth(points, closed=True), fill)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Colour) -> None:
        """Fill an ellipse around x, y."""
        self.polygon(((x + rx * cos, y + ry * sin) for cos, sin in _ROUND), fill)

    def disc(self, x: float, y: float, radius: float, fill: Colour) -> None:
        """Fill a circle around x, y."""
        self.ellipse(x, y, radius, radius, fill)

    def stroke(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """Draw a smooth open line with round ends; an opaque fill only."""
        curve = smooth(points, closed=False)
        ahead, behind = [*curve[1:], curve[-1]], [curve[0], *curve[:-1]]
        one: list[Point] = []
        other: list[Point] = []
        for (x, y), (ax, ay), (bx, by) in zip(curve, ahead, behind, strict=True):
            length = math.hypot(ax - bx, ay - by) or 1.0
            dx, dy = (ay - by) / length * width / 2, (bx - ax) / length * width / 2
            one.append((x + dx, y + dy))
            other.append((x - dx, y - dy))
        self.polygon([*one, *reversed(other)], fill)
        for x, y in (curve[0], curve[-1]):
            self.disc(x, y, width / 2, fill)
