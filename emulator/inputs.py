"""The files that come with a prompt: uploads, addresses and base64 text."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from emulator.backend import Artefact
from emulator.errors import Invalid, NotFound
from emulator.services import Services
from emulator.store import Row
from emulator.values import Upload

# Each may be a file, or an address in `<name>_url`, or text in `<name>_base64`.
MEDIA = (
    "input_image",
    "mask_image",
    "video_first_frame",
    "video_last_frame",
    "input_video",
    "audio_reference",
)

OTHER_FORMS: Mapping[str, tuple[str, ...]] = {
    "image_references": ("image_reference_urls",),
    **{name: (f"{name}_url", f"{name}_base64") for name in MEDIA},
}


def artefact(given: Upload | Artefact) -> Artefact:
    return given if isinstance(given, Artefact) else Artefact(given.content_type, given.data)


def split_media(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a prompt's attributes into files and the rest.

    A file wins over an address, and that over base64.
    """
    rest = dict(given)
    media: dict[str, Any] = {}
    for name in MEDIA:
        upload, address, encoded = (rest.pop(name + end, None) for end in ("", "_url", "_base64"))
        if upload is not None:
            media[name] = artefact(upload)
        elif address:
            media[name] = Artefact.at(address)
        elif encoded:
            media[name] = from_base64(encoded, name)
    uploads, addresses = rest.pop("image_references", None), rest.pop("image_reference_urls", None)
    references = [artefact(item) for item in uploads or ()]
    references += [Artefact.at(address) for address in addresses or ()]
    return media | ({"image_references": references} if references else {}), rest


def from_base64(url: str, name: str) -> Artefact:
    """Read a data URL.

    Raises Invalid.
    """
    header, _, data = url.partition(",")
    try:
        content = base64.b64decode(data)
    except binascii.Error:
        raise Invalid({f"{name}_base64": ["is not a base64 data URL"]}) from None
    return Artefact(header.removeprefix("data:").partition(";")[0], content)


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
