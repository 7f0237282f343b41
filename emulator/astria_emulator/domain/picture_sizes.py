"""Compute the size of a prompt's pictures, in pixels."""

import re
from collections.abc import Mapping
from typing import Any

from astria_emulator.domain.prompt_text import flags

NATIVE = {"sd15": 512, "fast": 512}  # side of a square picture; 1024 on every other branch
TIERS = {"1K": 1024, "2K": 2048, "4K": 4096}
LEGACY = {"portrait": "4:5", "landscape": "5:4"}
SMALLEST, LARGEST = 64, 4096  # pixels of a side
SIZE = re.compile(r"\d{1,5}", re.ASCII)


def picture_size(
    prompt: Mapping[str, Any], branch: str, *, own_side: int | None = None
) -> tuple[int, int]:
    """Return the width and height of a prompt's pictures, in pixels.

    own_side: of a square picture of the model, where it differs from its branch's.
    `--outpaint_*` win, then `w` and `h`, then the aspect ratio on the tier's or branch's area.
    Super-resolution multiplies by four (docs/api/1-prompt/1-create.md, 2026-08-21). No side is
    longer than `LARGEST`.
    """
    side = TIERS.get(prompt.get("resolution") or "") or own_side or NATIVE.get(branch, 1024)
    ratio = prompt.get("aspect_ratio") or prompt.get("ar") or "1:1"
    across, down = (
        int(part) for part in LEGACY.get(ratio, "1:1" if ratio == "adaptive" else ratio).split(":")
    )
    scale = (side * side / (across * down)) ** 0.5
    width, height = _multiple_of_8(across * scale), _multiple_of_8(down * scale)
    width, height = prompt.get("w") or width, prompt.get("h") or height
    factor = 4.0 if prompt.get("super_resolution") else 1.0
    factor = min(factor, LARGEST / max(width, height))
    if factor != 1.0:
        width, height = _multiple_of_8(width * factor), _multiple_of_8(height * factor)
    text_flags = flags(prompt.get("text") or "")
    outpaint = [text_flags.get(f"outpaint_{name}", "") for name in ("width", "height")]
    if "outpaint" in text_flags and all(SIZE.fullmatch(text) for text in outpaint):
        width, height = (int(text) for text in outpaint)
    return _bounded(width), _bounded(height)


def _bounded(pixels: int) -> int:
    return min(max(pixels, SMALLEST), LARGEST)


def _multiple_of_8(pixels: float) -> int:
    return round(pixels / 8) * 8
