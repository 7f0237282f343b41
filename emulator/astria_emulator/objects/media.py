"""The files that come with a request: uploads, addresses and base64 text, and what may pass."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from astria_emulator.backend import Artefact
from astria_emulator.config import Config
from astria_emulator.errors import Invalid, NotFound, TooLarge
from astria_emulator.request.image_headers import refusal
from astria_emulator.request.uploads import Upload
from astria_emulator.services import Services
from astria_emulator.storage.store import Row

# Each may be a file, or an address in `<name>_url`, or text in `<name>_base64`.
MEDIA = (
    "input_image",
    "mask_image",
    "video_first_frame",
    "video_last_frame",
    "input_video",
    "audio_reference",
)

# What must be a picture; a video or a sound may be anything.
PICTURES = frozenset({"images", "image_references", "file", *MEDIA[:4]})
# Attributes within attributes -> what messages call them.
WITHIN = {"prompts_attributes": "prompts", "prompt_attributes": "prompt_attributes"}

OTHER_FORMS: Mapping[str, tuple[str, ...]] = {
    "image_references": ("image_reference_urls",),
    **{name: (f"{name}_url", f"{name}_base64") for name in MEDIA},
}


def with_uploads(config: Config, given: Mapping[str, Any]) -> dict[str, Any]:
    """A request's attributes, each file in them looked at, with base64 text read as files.

    To be done before a transaction begins: nobody waits for it with the store in hand.
    Raises TooLarge, and Invalid that names every field with something that is no picture.
    """
    messages: dict[str, list[str]] = {}
    made = _looked_at(config, given, messages)
    if messages:
        raise Invalid(messages)
    return made


def _looked_at(
    config: Config, given: Mapping[str, Any], messages: dict[str, list[str]], within: str = ""
) -> dict[str, Any]:
    made = dict(given)
    for name, value in given.items():
        field, told = name, ""
        if name.endswith("_base64") and value:
            field = name.removesuffix("_base64")
            if given.get(field) is not None or given.get(f"{field}_url"):
                continue  # a file wins over an address, and that over base64
            try:
                value = made[field] = from_base64(made.pop(name))
            except binascii.Error:
                told = "is not a base64 data URL"
        if name in WITHIN and value:
            inner = f"{within}{WITHIN[name]}."
            if isinstance(value, list):
                made[name] = [_looked_at(config, item, messages, inner) for item in value]
            else:
                made[name] = _looked_at(config, value, messages, inner)
        for file in value if isinstance(value, list) else [value]:
            if isinstance(file, Upload):
                told = told or unfit(config, field, file) or ""
        if told:
            messages[f"{within}{name}"] = [told]
    return made


def is_caption(given: Upload | Artefact) -> bool:
    """Whether a file among training pictures is the caption of one: text, and named so."""
    data = given.data if isinstance(given, Upload) else given.content
    if not given.name.lower().endswith(".txt") or not isinstance(data, bytes):
        return False
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def unfit(config: Config, field: str, file: Upload | Artefact) -> str | None:
    """Why a file may not be what a field wants; None where it may. What we draw is not looked at.

    Raises TooLarge.
    """
    data = file.data if isinstance(file, Upload) else file.content
    if not isinstance(data, bytes):
        return None
    if len(data) > config.max_file:
        raise TooLarge
    if field == "images" and is_caption(file):
        return None
    return refusal(data, config.max_megapixels) if field in PICTURES else None


def artefact(given: Upload | Artefact) -> Artefact:
    if isinstance(given, Artefact):
        return given
    return Artefact(given.content_type, given.data, given.name)


def split_media(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a prompt's attributes, seen to by `with_uploads`, into files and the rest."""
    rest = dict(given)
    media: dict[str, Any] = {}
    for name in MEDIA:
        upload, address, _ = (rest.pop(name + end, None) for end in ("", "_url", "_base64"))
        if upload is not None:
            media[name] = artefact(upload)
        elif address:
            media[name] = Artefact.at(address)
    uploads, addresses = rest.pop("image_references", None), rest.pop("image_reference_urls", None)
    references = [artefact(item) for item in uploads or ()]
    references += [Artefact.at(address) for address in addresses or ()]
    return media | ({"image_references": references} if references else {}), rest


def from_base64(url: str) -> Upload:
    """Read a data URL.

    Raises binascii.Error.
    """
    header, _, data = url.partition(",")
    return Upload("", header.removeprefix("data:").partition(";")[0], base64.b64decode(data))


def keep_media(services: Services, row: Row, media: Mapping[str, Any]) -> dict[str, Any]:
    """Store a prompt's files and return their keys by name; `image_references` has a list."""
    kept: dict[str, Any] = {}
    for name, found in media.items():
        items = found if isinstance(found, list) else [found]
        keys = [services.keep(f"prompt/{row.id}/{name}/{at}", i) for at, i in enumerate(items)]
        kept[name] = keys if isinstance(found, list) else keys[0]
    return kept


def kept_media(services: Services, row: Row, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The files of a prompt for a copy of it, but for those that are given anew."""
    found: dict[str, Any] = {}
    for name, kept in row["files"].items():
        if not any(overrides.get(other) for other in (name, *OTHER_FORMS[name])):
            keys = kept if isinstance(kept, list) else [kept]
            copies = [kept_artefact(services, key) for key in keys]
            found[name] = copies if isinstance(kept, list) else copies[0]
    return found


def kept_artefact(services: Services, key: str) -> Artefact:
    """A file that was stored.

    Raises NotFound.
    """
    file = services.files.get(key)
    try:
        if file is not None:
            return Artefact(file.content_type, file.content)
    except FileNotFoundError:  # erased in the meantime
        pass
    raise NotFound
