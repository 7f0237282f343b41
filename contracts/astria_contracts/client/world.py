"""Objects that tests share: created once, and only read."""

from functools import cached_property
from typing import Any

from astria_contracts.client.api import Api


class World:
    """One object of each kind, of one account."""

    def __init__(self, api: Api):
        self.api = api

    def __repr__(self) -> str:
        return "World(...)"

    @property
    def _lasting(self) -> dict[str, Any]:
        """Where the clock is moved beyond their 30 days, tunes are extended."""
        return {} if "clock" in self.api.target.lacks else {"auto_extend": True}

    @cached_property
    def tune(self) -> Any:
        """A trained tune."""
        made = self.api.tune(**self._lasting)
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
        tune = self.api.tune(**self._lasting)
        return self.api.prompt(tune["id"], num_images=1)

    @cached_property
    def lora(self) -> Any:
        """A trained LoRA of Flux."""
        made = self.api.lora(**self._lasting)
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
