"""Fetch the files that a request names by address, where the settings allow it.

Fetched files then count as uploads. Fetching ends before a transaction begins, so that nobody
waits for the network while holding the store's lock.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from astria_emulator.backend import Artefact, name_in
from astria_emulator.errors import Invalid, Message, NotFound, Unavailable
from astria_emulator.objects.media import (
    MEDIA,
    NESTED,
    read_uploads,
    refuse_file,
    stored_artefact,
)
from astria_emulator.outbound import door
from astria_emulator.request.uploads import Upload, media_type
from astria_emulator.services import Caller, Services
from astria_emulator.storage.file_keys import KEY

Attributes = Mapping[str, Any]
Outcome = Upload | Artefact | str  # a fetched file, a stored one, or why there is none

# Field of an address -> field of the upload; the same for lists of them.
SINGLE = {"file_url": "file", **{f"{name}_url": name for name in MEDIA}}
LISTS = {"image_urls": "images", "image_reference_urls": "image_references"}

TIMEOUT_SECONDS = 10.0
REQUEST_SECONDS = 30.0  # for all files of one request
WORKERS = 4  # fetches at a time
REQUESTS = 24  # that fetch at a time, of the server's 32 threads for them: others are answered
RETRY_SECONDS = 5  # when a request beyond these may be sent again
LOGGED_REASONS = 10  # for each field
REFUSAL = "could not be fetched"

_free = threading.Semaphore(REQUESTS)  # in the whole process


def load_files(
    services: Services, caller: Caller, attributes: Attributes, *, needed: bool = False
) -> Attributes:
    """Return a request's attributes with every file checked, and addresses replaced by files.

    Addresses stay as they are where fetching is assumed to be "never", unless files are `needed`
    to train on.
    Raises TooLarge, Unavailable where too many requests fetch, and Invalid that names every address
    without a usable file.
    """
    attributes = read_uploads(services.config, attributes)
    if services.assumed("fetching") == "never" and not needed:
        return attributes
    addresses = [*dict.fromkeys(address for _, address in _addresses(attributes))]
    outcomes = _fetch_all(services, caller, addresses) if addresses else {}
    reasons: dict[str, dict[str, str]] = {}
    messages: dict[str, list[str]] = {}
    for field, address in _addresses(attributes):
        if isinstance(outcome := outcomes[address], str):
            reasons.setdefault(field, {})[address] = f"{door.host_and_path(address)}: {outcome}"
        elif message := refuse_file(services.config, _file_field(field), outcome):
            messages[field] = [message]
    for field, texts in reasons.items():
        messages[field] = [Message(REFUSAL, "; ".join([*texts.values()][:LOGGED_REASONS]))]
    if messages:
        raise Invalid(messages)
    return _with_files(attributes, outcomes)


def _file_field(field: str) -> str:
    """Return the upload's field of an address: `prompts.input_image_url` -> `input_image`."""
    name = field.rpartition(".")[2]
    return LISTS.get(name) or SINGLE[name]


def _addresses(attributes: Attributes, *, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each address with its field as messages name it. A file wins over an address."""
    for name, value in attributes.items():
        if not value:
            continue
        if name in LISTS:
            yield from ((f"{prefix}{name}", address) for address in value)
        elif name in SINGLE and attributes.get(SINGLE[name]) is None:
            yield f"{prefix}{name}", value
        elif name in NESTED:
            for inner in value if isinstance(value, list) else [value]:
                yield from _addresses(inner, prefix=f"{NESTED[name]}.")


def _with_files(attributes: Attributes, files: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes with the file of each address in place of the address."""
    result = dict(attributes)
    for name, value in attributes.items():
        if not value:
            continue
        if name in LISTS:
            fetched = [files[address] for address in result.pop(name)]
            result[LISTS[name]] = [*(result.get(LISTS[name]) or ()), *fetched]
        elif name in SINGLE and attributes.get(SINGLE[name]) is None:
            result[SINGLE[name]] = files[result.pop(name)]
        elif name in NESTED:
            is_list = isinstance(value, list)
            result[name] = (
                [_with_files(v, files) for v in value] if is_list else _with_files(value, files)
            )
    return result


def _fetch_all(services: Services, caller: Caller, addresses: Sequence[str]) -> dict[str, Outcome]:
    """Fetch each address, a few at a time; together no more bytes than a body may have.

    Raises Unavailable.
    """
    end = time.monotonic() + REQUEST_SECONDS
    share = services.config.max_body // len(addresses)
    max_bytes = min(share, services.config.max_file)

    def fetch(address: str) -> Outcome:
        if (key := _own_key(services, caller, address)) is not None:
            try:
                return stored_artefact(services, key)
            except NotFound:
                return "there is no such file here"
        timeout = min(TIMEOUT_SECONDS, end - time.monotonic())
        if timeout <= 0:
            return f"{len(addresses)} addresses took longer than {REQUEST_SECONDS:g} s"
        hosts = services.config.fetch_hosts
        try:
            file = door.fetch(address, allowed_hosts=hosts, timeout=timeout, max_bytes=max_bytes)
        except door.Failed as reason:
            return str(reason)
        return Upload(name_in(address), media_type(file.content_type), file.data)

    if not _free.acquire(blocking=False):
        raise Unavailable(headers={"Retry-After": str(RETRY_SECONDS)})
    try:
        with ThreadPoolExecutor(min(WORKERS, len(addresses)), thread_name_prefix="fetch") as pool:
            return dict(zip(addresses, pool.map(fetch, addresses), strict=True))
    finally:
        _free.release()


def _own_key(services: Services, caller: Caller, address: str) -> str | None:
    """Return the key of a file that this server serves; it may be too busy to ask itself."""
    base, _, key = address.rpartition("/")
    ours = (services.config.public_url.rstrip("/"), caller.origin)
    return key if base and base in ours and KEY.fullmatch(key) else None
