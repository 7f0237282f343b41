"""Objects that tests need to be there: made once, and only read."""

import struct
import zlib
from functools import cached_property
from typing import Any

from astria_contracts.api import Api
from astria_contracts.encoding import File


class World:
    """One of each object of an account."""

    def __init__(self, api: Api):
        self.api = api

    def __repr__(self) -> str:
        return "World(...)"

    @property
    def _kept(self) -> dict[str, Any]:
        """Tunes are kept where the clock is moved beyond their 30 days."""
        return {} if "clock" in self.api.target.lacks else {"auto_extend": True}

    @cached_property
    def tune(self) -> Any:
        """A trained tune."""
        made = self.api.tune(**self._kept)
        return self.api.final(f"/tunes/{made['id']}")

    @cached_property
    def prompt(self) -> Any:
        """A prompt of it with pictures."""
        made = self.api.prompt(self.tune["id"], num_images=2, seed=7)
        ended = self.api.final(f"/prompts/{made['id']}")
        assert len(ended["images"]) == 2, ended
        return ended

    @cached_property
    def changing(self) -> Any:
        """A prompt that tests may change, and its tune."""
        tune = self.api.tune(**self._kept)
        return self.api.prompt(tune["id"], num_images=1)

    @cached_property
    def lora(self) -> Any:
        """A trained LoRA of Flux."""
        made = self.api.lora(**self._kept)
        return self.api.final(f"/tunes/{made['id']}")

    @cached_property
    def pack(self) -> Any:
        """A public pack that takes a woman's pictures."""
        packs = self.api.get("/gallery/packs", limit=100)
        details = [self.api.get(f"/p/{pack['slug']}") for pack in packs]
        fitting = [
            found for found in details if "woman" in found["costs"] and not found.get("use_multi")
        ]
        assert fitting, "the gallery has no pack with the class woman"
        return fitting[0]

    @cached_property
    def workspace(self) -> Any:
        return self.api.ok("POST", "/workspaces", {"workspace": {"title": "Of the world"}})


def picture(number: int = 1, *, side: int = 64) -> File:
    """A small PNG of one colour that differs from number to number."""
    colour = bytes((number * 37 % 256, number * 91 % 256, number * 53 % 256))
    rows = b"".join(b"\0" + colour * side for _ in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    content = (
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return File(f"{number}.png", content)
