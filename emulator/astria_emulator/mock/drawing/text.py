"""Text on pictures: the bundled font, safe characters, wrapping and fitting."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

ASSETS = Path(__file__).resolve().parent
_FONT = ASSETS / "fonts" / "Inter-Medium-subset.otf"
_MOST_CHARACTERS = 2000  # more never fits; the rest of a long text need not be measured
_ELLIPSIS = "\u2026"


def printable(text: str) -> str:
    """Return the text on one line, without anything that has no glyph of its own."""
    kept: list[str] = []
    for character in unicodedata.normalize("NFC", text[:_MOST_CHARACTERS]):
        category = unicodedata.category(character)
        if category in ("Cc", "Zs", "Zl", "Zp"):
            kept.append(" ")
        elif category == "Cs":
            kept.append("\ufffd")
        elif category != "Cf":
            kept.append(character)
    return " ".join("".join(kept).split())


@dataclass(frozen=True)
class Type:
    """The bundled font at one size, with the widths that were measured so far."""

    font: FreeTypeFont
    size: int  # pixels
    widths: dict[str, float] = field(default_factory=dict)

    def width(self, text: str) -> float:
        """Return the width of a line in pixels."""
        total = 0.0
        for character in text:
            if character not in self.widths:
                self.widths[character] = self.font.getlength(character)
            total += self.widths[character]
        return total

    def fitted(self, text: str, room: float) -> str:
        """Return the text, cut and ended with an ellipsis where it is wider than room."""
        if self.width(text) <= room:
            return text
        room -= self.width(_ELLIPSIS)
        return self._head(text, room).rstrip(" ,.;:-") + _ELLIPSIS

    def wrapped(self, text: str, room: float, most: int) -> list[str]:
        """Return at most so many lines, none wider than room pixels; the last may be cut."""
        lines: list[str] = []
        rest = text
        while rest and len(lines) < most:
            if len(lines) == most - 1:
                return [*lines, self.fitted(rest, room)]
            head = self._head(rest, room) or rest[0]
            if len(head) < len(rest) and rest[len(head)] != " " and " " in head:
                # A long word alone is broken, one that merely meets the edge is moved down.
                head = head[: head.rindex(" ")]
            elif " " not in head and len(head) < len(rest) and "/" in head[len(head) // 2 :]:
                head = head[: head.rindex("/") + 1]
            lines.append(head.rstrip())
            rest = rest[len(head) :].lstrip()
        return lines

    def _head(self, text: str, room: float) -> str:
        total = 0.0
        for count, character in enumerate(text):
            total += self.width(character)
            if total > room:
                return text[:count]
        return text


def type_of(size: float) -> Type:
    """Return the bundled font at a size in pixels; OSError when the file is missing."""
    from PIL import ImageFont

    whole = max(round(size), 6)
    layout = ImageFont.Layout.BASIC
    return Type(ImageFont.truetype(str(_FONT), whole, layout_engine=layout), whole)
