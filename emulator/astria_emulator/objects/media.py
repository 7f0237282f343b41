"""The files of a request: uploads, addresses and base64 text, and which of them are allowed."""

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

# Each comes as a file, as an address in `<name>_url`, or as text in `<name>_base64`.
MEDIA = (
    "input_image",
    "mask_image",
    "video_first_frame",
    "video_last_frame",
    "input_video",
    "audio_reference",
)

# Fields that must be pictures; videos and sounds are not checked.
PICTURES = frozenset({"images", "image_references", "file", *MEDIA[:4]})
# Nested attributes -> their name in messages.
NESTED = {"prompts_attributes": "prompts", "prompt_attributes": "prompt_attributes"}

OTHER_FORMS: Mapping[str, tuple[str, ...]] = {
    "image_references": ("image_reference_urls",),
    **{name: (f"{name}_url", f"{name}_base64") for name in MEDIA},
}


def read_uploads(config: Config, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request's attributes with base64 text read as files, and every file checked.

    To be called before a transaction begins: it takes long, and would hold the store's lock.
    Raises TooLarge, and Invalid that names every field whose file must be a picture and is none.
    """
    messages: dict[str, list[str]] = {}
    checked = _check_files(config, attributes, messages)
    if messages:
        raise Invalid(messages)
    return checked


def _check_files(
    config: Config, attributes: Mapping[str, Any], messages: dict[str, list[str]], prefix: str = ""
) -> dict[str, Any]:
    checked = dict(attributes)
    for name, value in attributes.items():
        field, message = name, ""
        if name.endswith("_base64") and value:
            field = name.removesuffix("_base64")
            if attributes.get(field) is not None or attributes.get(f"{field}_url"):
                continue  # a file wins over an address, and an address over base64
            try:
                value = checked[field] = from_base64(checked.pop(name))
            except binascii.Error:
                message = "is not a base64 data URL"
        if name in NESTED and value:
            inner = f"{prefix}{NESTED[name]}."
            if isinstance(value, list):
                checked[name] = [_check_files(config, item, messages, inner) for item in value]
            else:
                checked[name] = _check_files(config, value, messages, inner)
        for file in value if isinstance(value, list) else [value]:
            if isinstance(file, Upload):
                message = message or refuse_file(config, field, file) or ""
        if message:
            messages[f"{prefix}{name}"] = [message]
    return checked


def is_caption(file: Upload | Artefact) -> bool:
    """Return whether a file among training pictures is a caption: UTF-8 text named *.txt."""
    data = file.data if isinstance(file, Upload) else file.content
    if not file.name.lower().endswith(".txt") or not isinstance(data, bytes):
        return False
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def refuse_file(config: Config, field: str, file: Upload | Artefact) -> str | None:
    """Return the message that refuses a file in a field; None where it is allowed.

    Files on disk and drawings of the mock are not checked.

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


def artefact(file: Upload | Artefact) -> Artefact:
    """Return a file as an artefact."""
    if isinstance(file, Artefact):
        return file
    return Artefact(file.content_type, file.data, file.name)


def split_media(attributes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a prompt's attributes, read by `read_uploads`, into files and the rest."""
    rest = dict(attributes)
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
    return Upload(
        "", header.removeprefix("data:").partition(";")[0], base64.b64decode(data, validate=True)
    )


def keep_media(services: Services, row: Row, media: Mapping[str, Any]) -> dict[str, Any]:
    """Store a prompt's files and return their keys by name; `image_references` has a list."""
    keys_by_name: dict[str, Any] = {}
    for name, files in media.items():
        items = files if isinstance(files, list) else [files]
        keys = [services.keep(f"prompt/{row.id}/{name}/{at}", i) for at, i in enumerate(items)]
        keys_by_name[name] = keys if isinstance(files, list) else keys[0]
    return keys_by_name


def copied_media(services: Services, row: Row, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the files of a prompt for its copy, except those that `overrides` replaces."""
    media: dict[str, Any] = {}
    for name, stored in row["files"].items():
        if not any(overrides.get(other) for other in (name, *OTHER_FORMS[name])):
            keys = stored if isinstance(stored, list) else [stored]
            copies = [stored_artefact(services, key) for key in keys]
            media[name] = copies if isinstance(stored, list) else copies[0]
    return media


def media_bytes(services: Services, row: Row) -> int:
    """Return how many bytes the files of a prompt have; those that are drawn have none."""
    keys = [key for of in row["files"].values() for key in ([of] if isinstance(of, str) else of)]
    files = [file for key in keys if (file := services.files.get(key))]
    try:
        return sum(file.size for file in files)
    except FileNotFoundError:  # erased in the meantime, and then it cannot be copied
        return 0


def stored_artefact(services: Services, key: str) -> Artefact:
    """Return a stored file.

    Raises NotFound.
    """
    file = services.files.get(key)
    try:
        if file is not None:
            return Artefact(file.content_type, file.content)
    except FileNotFoundError:  # erased in the meantime
        pass
    raise NotFound
