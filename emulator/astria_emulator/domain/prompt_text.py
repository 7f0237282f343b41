"""Parse a prompt's text: `<lora:ID:scale>` tokens, `--flags`, `{{characteristics}}`.

How much a text may become, and how many tunes it may name, is limited here: a request multiplies
both by its prompts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from astria_emulator.errors import Invalid

MOST_TUNES = 50  # that a text names
LONGEST_FILLED = 50_000  # characters of a text once it is filled in
# `<faceid:123>` without a scale, and LoRAs by name (`<lora:add_detail:0.5>`), occur in the
# documentation.
_SCALE = r"-?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})"
_TOKEN = re.compile(rf"<([a-z][a-z0-9_]*):([^:<>\s]+)(?::({_SCALE}))?>", re.I)
_FLAG_OR_QUOTE = re.compile(
    r'(?:^|\s)--([a-z][a-z0-9_]*)|"[^"]*"|\u201c[^\u201c\u201d]*\u201d', re.I
)
_SLOT = re.compile(r"\{\{([^{}]*)\}\}")
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d"}


@dataclass(frozen=True)
class Token:
    """A reference to a tune: by id, or by name where `tune_id` is None."""

    kind: str
    name: str
    scale: float

    @property
    def tune_id(self) -> int | None:
        return int(self.name) if self.name.isdecimal() and len(self.name) < 19 else None


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text, in order."""
    return [
        Token(kind.lower(), name, float(scale or 1)) for kind, name, scale in _TOKEN.findall(text)
    ]


def token_for(model_type: str, tune_id: int, scale: float | None = None) -> str:
    """Return the token of a tune: `<faceid:7:1>` or `<lora:7:0.8>`.

    Pti tunes load as a LoRA (docs/api/20-sdxl-api.md, 2026-08-21).
    """
    kind = "faceid" if model_type == "faceid" else "lora"
    return f"<{kind}:{tune_id}:{1 if scale is None else scale:g}>"


def flags(text: str) -> dict[str, str]:
    """Return the `--name value` pairs of a text.

    A value ends at the next flag and loses its quotes; a bare flag has ''. Quoted text contains
    no flags.
    """
    values = {}
    marks = [match for match in _FLAG_OR_QUOTE.finditer(text) if match[1]]
    ends = [mark.start() for mark in marks[1:]] + [len(text)] * bool(marks)
    for mark, end in zip(marks, ends, strict=True):
        value = text[mark.end() : end].strip()
        if value and _QUOTES.get(value[0]) == value[-1] and len(value) > 1:
            value = value[1:-1]
        values[mark[1].lower()] = value
    return values


def words(text: str) -> str:
    """Return the text without its tokens and flags."""
    first = next((match.start() for match in _FLAG_OR_QUOTE.finditer(text) if match[1]), len(text))
    return " ".join(_TOKEN.sub(" ", text[:first]).split())


def without_tokens(text: str) -> str:
    """Return the text without tokens that name a tune by id. Flags and LoRAs by name stay."""
    return " ".join(
        _TOKEN.sub(lambda token: "" if token[2].isdecimal() else token[0], text).split()
    )


def fill(text: str, characteristics: Mapping[str, Any] | None) -> str:
    """Replace `{{key}}` by the characteristic of that name.

    An unknown key is replaced by nothing, as in Mustache.

    Raises Invalid when the text becomes too long.
    """
    values = characteristics or {}
    length = len(text)

    def replacement(slot: re.Match[str]) -> str:
        nonlocal length
        value = values.get(slot[1].strip())
        found = (
            "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        )
        length += len(found) - len(slot[0])
        check_length(length)
        return found

    return _SLOT.sub(replacement, text)


def check_length(length: int) -> None:
    """Raises Invalid when a text with its tokens and characteristics is too long."""
    if length > LONGEST_FILLED:
        told = f"is too long once it is filled in (maximum is {LONGEST_FILLED} characters)"
        raise Invalid({"text": [told]})


def named_ids(text: str) -> list[int]:
    """Return the ids of the tunes that the tokens of a text name, each once.

    Raises Invalid when there are too many.
    """
    ids = dict.fromkeys(token.tune_id for token in tokens(text) if token.tune_id)
    if len(ids) > MOST_TUNES:
        raise Invalid({"text": [f"names too many tunes (maximum is {MOST_TUNES})"]})
    return list(ids)


def video_fields(text: str) -> dict[str, Any]:
    """Return the attributes of the older `--video` syntax (docs/features/video.md, 2026-08-21)."""
    values = flags(text)
    if "video" not in values and "video_model" not in values:
        return {}
    attributes: dict[str, Any] = {
        "video_model": values.get("video_model") or None,
        "video_prompt": values.get("video_prompt") or None,
    }
    duration = values.get("duration", "")
    return attributes | (
        {"video_duration": int(duration)} if duration.isdecimal() and len(duration) < 4 else {}
    )
