"""Make the short silent clips that the mock serves in place of generated videos.

Run from the repository root with ffmpeg (libx264) on the path:

    python -m tools.make_clips
"""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

from PIL import Image, ImageDraw

from astria_emulator.mock.drawing import CLIP_ASPECTS
from astria_emulator.mock.drawing.palette import gradient, palette
from astria_emulator.mock.drawing.pen import Pen, faded, mix
from astria_emulator.mock.drawing.text import ASSETS, type_of

LONG_SIDE = 640  # pixels
RATE = 20  # frames a second
FRAMES = 40
MAX_BYTES = 60_000
CIRCLES = ((-0.9, -0.3, 0.34), (0.8, 0.25, 0.42), (0.1, -0.75, 0.26), (-0.35, 0.7, 0.22))


def main() -> None:
    """Write one clip for each aspect.

    Raises RuntimeError when ffmpeg fails or a clip is too large.
    """
    folder = ASSETS / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    for number, aspect in enumerate(CLIP_ASPECTS):
        wide, high = (int(part) for part in aspect.split(":"))
        scale = LONG_SIDE / max(wide, high)
        # H.264 with halved colour needs even sides.
        size = (round(wide * scale / 2) * 2, round(high * scale / 2) * 2)
        path = folder / f"{wide}x{high}.mp4"
        frames = b"".join(frame(size, aspect, number, at).tobytes() for at in range(FRAMES))
        encode(frames, size, path)
        length = path.stat().st_size
        print(f"{path.name} {size[0]}x{size[1]} {length} bytes")
        if length > MAX_BYTES:
            raise RuntimeError(f"{path} has {length} bytes, more than {MAX_BYTES}")


def frame(size: tuple[int, int], aspect: str, number: int, at: int) -> Image.Image:
    """Return one frame; the last one leads back into the first."""
    angle = 2 * math.pi * at / FRAMES
    colours = palette(number / len(CLIP_ASPECTS) + 0.03 * math.sin(angle), 1 + number % 2)
    wide, high = size[0] * 2, size[1] * 2
    image = gradient((wide, high), colours.start, colours.end, 0.5 * math.sin(angle))
    draw = ImageDraw.Draw(image, "RGBA")
    unit = min(wide, high) / 2
    pen = Pen(draw, wide / 2, high / 2, unit)
    for count, (x, y, radius) in enumerate(CIRCLES):
        drift = angle + count * math.pi / 2
        place = (x * wide / 2 / unit * 0.8 + 0.1 * math.cos(drift), y + 0.1 * math.sin(drift))
        pen.disc(*place, radius, faded(mix(colours.pale, colours.second, count / 6), 0.4))
    pulse = 0.56 + 0.03 * math.sin(angle)
    pen.disc(0, 0, pulse, faded(colours.pale, 0.55))
    image = image.reduce(2)
    draw = ImageDraw.Draw(image)
    large, small = type_of(min(size) * 0.088), type_of(min(size) * 0.064)
    middle = (size[0] / 2, size[1] / 2)
    draw.text(
        (middle[0] - large.width("mock video") / 2, middle[1]),
        "mock video",
        font=large.font,
        fill=colours.deep,
        anchor="ls",
    )
    draw.text(
        (middle[0] - small.width(aspect) / 2, middle[1] + small.size * 1.4),
        aspect,
        font=small.font,
        fill=colours.deep,
        anchor="ls",
    )
    return image


def encode(frames: bytes, size: tuple[int, int], path: Path) -> None:
    """Write raw RGB frames as an H.264 mp4.

    Raises RuntimeError with ffmpeg's message when it fails.
    """
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", str(RATE)]
    codec = ["-c:v", "libx264", "-preset", "veryslow", "-crf", "28", "-pix_fmt", "yuv420p"]
    colour = ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-colorspace", "bt709"]
    colour += ["-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
    # One thread and no version stamps: the same ffmpeg writes the same bytes again.
    same = ["-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1"]
    command = ["ffmpeg", "-v", "error", "-y", *source, "-i", "-", *codec, *colour, *same]
    command += ["-an", "-movflags", "+faststart", str(path)]
    done = subprocess.run(command, input=frames, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))


if __name__ == "__main__":
    main()
