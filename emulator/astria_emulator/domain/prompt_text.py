"""What a prompt's text holds besides words: `<lora:ID:scale>`, `--flags`, `{{characteristics}}`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
    """The tokens of a text, in order."""
    return [
        Token(kind.lower(), name, float(scale or 1)) for kind, name, scale in _TOKEN.findall(text)
    ]


def token_for(model_type: str, tune_id: int, scale: float | None = None) -> str:
    """`<faceid:7:1>` or `<lora:7:0.8>`.

    Pti tunes load as a LoRA (docs/api/20-sdxl-api.md, 2026-08-21).
    """
    kind = "faceid" if model_type == "faceid" else "lora"
    return f"<{kind}:{tune_id}:{1 if scale is None else scale:g}>"


def flags(text: str) -> dict[str, str]:
    """`--name value` pairs.

    A value runs to the next flag and loses its quotes, a bare flag has ''. What stands in quotes
    holds no flag.
    """
    found = {}
    marks = [match for match in _FLAG_OR_QUOTE.finditer(text) if match[1]]
    ends = [mark.start() for mark in marks[1:]] + [len(text)] * bool(marks)
    for mark, end in zip(marks, ends, strict=True):
        value = text[mark.end() : end].strip()
        if value and _QUOTES.get(value[0]) == value[-1] and len(value) > 1:
            value = value[1:-1]
        found[mark[1].lower()] = value
    return found


def words(text: str) -> str:
    """The text without its tokens and flags."""
    first = next((match.start() for match in _FLAG_OR_QUOTE.finditer(text) if match[1]), len(text))
    return " ".join(_TOKEN.sub(" ", text[:first]).split())


def without_tokens(text: str) -> str:
    """The text without tokens that name a tune by id; flags and LoRAs by name stay."""
    return " ".join(
        _TOKEN.sub(lambda token: "" if token[2].isdecimal() else token[0], text).split()
    )


def fill(text: str, characteristics: Mapping[str, Any] | None) -> str:
    """Replace `{{key}}` by the characteristic of that name.

    A key that is not there leaves nothing, as in Mustache.
    """
    known = characteristics or {}

    def value(slot: re.Match[str]) -> str:
        found = known.get(slot[1].strip())
        return (
            "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)
        )

    return _SLOT.sub(value, text)


def video_fields(text: str) -> dict[str, Any]:
    """What the older `--video` syntax stands for (docs/features/video.md, 2026-08-21)."""
    given = flags(text)
    if "video" not in given and "video_model" not in given:
        return {}
    found: dict[str, Any] = {
        "video_model": given.get("video_model") or None,
        "video_prompt": given.get("video_prompt") or None,
    }
    duration = given.get("duration", "")
    return found | (
        {"video_duration": int(duration)} if duration.isdecimal() and len(duration) < 4 else {}
    )
