"""Themes: ten prompts for each tune from one idea."""

from collections.abc import Mapping
from typing import Any

from astria_emulator.errors import Invalid, NotFound
from astria_emulator.objects.access import visible
from astria_emulator.objects.prompts import make_prompt
from astria_emulator.objects.results import Empty
from astria_emulator.services import Caller, Services

# Astria asks a language model; a fixed list gives the same prompts every time.
VARIATIONS = (
    "close-up, soft window light",
    "full length, wide street behind",
    "seen from the side, evening sun",
    "sitting, plain studio background",
    "walking, shallow depth of field",
    "looking up, overcast sky",
    "by a large window, interior",
    "in front of a textured wall",
    "low angle, strong contrast",
    "centred, symmetrical composition",
)


def create_theme(services: Services, caller: Caller, *, body: Mapping[str, Any]) -> Empty:
    theme = body["theme"]
    try:
        tunes = [visible(services, caller, "tune", id) for id in theme["tune_ids"]]
    except NotFound:
        raise Invalid({"tune_ids": ["must exist"]}) from None
    attributes = {
        "num_images": 4,
        "super_resolution": False,
        "ar": "1:1",
        "controlnet_txt2img": False,
    }
    attributes |= theme.get("prompt_attributes") or {}
    with services.store.transaction():
        for tune in tunes:
            subject = " ".join(part for part in (tune.get("token"), tune["name"]) if part)
            for variation in VARIATIONS:
                text = f"{subject}, {theme['theme']}, {variation}"
                make_prompt(
                    services, caller, tune, {**attributes, "text": text, "theme": theme["theme"]}
                )
    return Empty()
