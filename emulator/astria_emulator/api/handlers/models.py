"""The models that the official command line offers.

No version of the command line is reported: a higher one makes it replace its own file.
"""

from typing import Any

from astria_emulator.services import Caller, Services

CACHE_SECONDS = 86400


def list_models(services: Services, caller: Caller) -> dict[str, Any]:
    gallery = services.gallery
    schema = services.contract.spec.schema("PromptFields")["properties"]["video_model"]
    return {
        "models": gallery.models,
        "default": gallery.default_model,
        "default_video_model": gallery.default_video_model,
        "video_models": {name: _video_model(services, name) for name in schema["enum"] if name},
        "cache_ttl": CACHE_SECONDS,
    }


def _video_model(services: Services, name: str) -> dict[str, Any]:
    model = services.gallery.video_model(name)
    return {
        "title": name.replace("_", " ").capitalize(),
        "durations": list(model.durations or ()),
        "supports_image_references": model.references,
        "supports_audio_reference": model.audio_reference,
        "generates_audio": model.audio or "audio" in name,
        "requires_input_video": model.motion,
    }
