"""Fetch the files that a request gives by address, where that is asked for.

They then count as uploads. It is done before a transaction begins: nobody waits for the network
with the store in hand.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from astria_emulator.backend import Artefact, name_in
from astria_emulator.errors import Invalid, Message, NotFound
from astria_emulator.objects.media import MEDIA, WITHIN, kept_artefact, unfit, with_uploads
from astria_emulator.outbound import door
from astria_emulator.request.uploads import Upload, media_type
from astria_emulator.services import Caller, Services
from astria_emulator.storage.file_keys import KEY

Attributes = Mapping[str, Any]
Outcome = Upload | Artefact | str  # a file, one of our own, or why there is none

# Field of an address, or of a list of them -> field of the upload, or of the list.
ONE = {"file_url": "file", **{f"{name}_url": name for name in MEDIA}}
MANY = {"image_urls": "images", "image_reference_urls": "image_references"}

TIMEOUT_SECONDS = 10.0
REQUEST_SECONDS = 30.0  # for all files of one request
AT_ONCE = 4
SHOWN = 10  # reasons in the log for each field
REFUSAL = "could not be fetched"


def with_files(
    services: Services, caller: Caller, given: Attributes, *, needed: bool = False
) -> Attributes:
    """A request's attributes with their files, each looked at.

    By default addresses stay as they are; else, and where files are needed to train on, there are
    files in their place.
    Raises TooLarge, and Invalid that names every address without a file.
    """
    given = with_uploads(services.config, given)
    if services.assumed("fetching") == "never" and not needed:
        return given
    addresses = dict.fromkeys(address for _, address in _addresses(given))
    outcomes = _fetch_all(services, caller, addresses)
    reasons: dict[str, dict[str, str]] = {}
    unfitting: dict[str, str] = {}
    for field, address in _addresses(given):
        if isinstance(why := outcomes[address], str):
            reasons.setdefault(field, {})[address] = f"{door.host_and_path(address)}: {why}"
        elif text := unfit(services.config, _file_field(field), why):
            unfitting[field] = text
    if reasons or unfitting:
        told = {field: "; ".join([*texts.values()][:SHOWN]) for field, texts in reasons.items()}
        refused = {field: [Message(REFUSAL, text)] for field, text in told.items()}
        raise Invalid({**{field: [text] for field, text in unfitting.items()}, **refused})
    return _replaced(given, outcomes)


def _file_field(field: str) -> str:
    """The upload that an address stands for: `prompts.input_image_url` -> `input_image`."""
    name = field.rpartition(".")[2]
    return MANY.get(name) or ONE[name]


def _addresses(given: Attributes, *, within: str = "") -> Iterator[tuple[str, str]]:
    """Each address with its field, as messages name it. A file wins over an address."""
    for name, value in given.items():
        if not value:
            continue
        if name in MANY:
            yield from ((f"{within}{name}", address) for address in value)
        elif name in ONE and given.get(ONE[name]) is None:
            yield f"{within}{name}", value
        elif name in WITHIN:
            for inner in value if isinstance(value, list) else [value]:
                yield from _addresses(inner, within=f"{WITHIN[name]}.")


def _replaced(given: Attributes, files: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(given)
    for name, value in given.items():
        if not value:
            continue
        if name in MANY:
            fetched = [files[address] for address in made.pop(name)]
            made[MANY[name]] = [*(made.get(MANY[name]) or ()), *fetched]
        elif name in ONE and given.get(ONE[name]) is None:
            made[ONE[name]] = files[made.pop(name)]
        elif name in WITHIN:
            is_list = isinstance(value, list)
            made[name] = (
                [_replaced(v, files) for v in value] if is_list else _replaced(value, files)
            )
    return made


def _fetch_all(services: Services, caller: Caller, addresses: Iterable[str]) -> dict[str, Outcome]:
    """Fetch each once, a few at a time; together they are no larger than a request may be."""
    wanted = list(addresses)
    if not wanted:
        return {}
    end = time.monotonic() + REQUEST_SECONDS
    share = services.config.max_body // len(wanted)
    most = min(share, services.config.max_file)

    def fetch(address: str) -> Outcome:
        if (key := _own_key(services, caller, address)) is not None:
            try:
                return kept_artefact(services, key)
            except NotFound:
                return "there is no such file here"
        timeout = min(TIMEOUT_SECONDS, end - time.monotonic())
        if timeout <= 0:
            return f"{len(wanted)} addresses took longer than {REQUEST_SECONDS:g} s"
        hosts = services.config.fetch_hosts
        try:
            found = door.fetch(address, allowed_hosts=hosts, timeout=timeout, max_bytes=most)
        except door.Failed as reason:
            return str(reason)
        return Upload(name_in(address), media_type(found.content_type), found.data)

    with ThreadPoolExecutor(min(AT_ONCE, len(wanted)), thread_name_prefix="fetch") as pool:
        return dict(zip(wanted, pool.map(fetch, wanted), strict=True))


def _own_key(services: Services, caller: Caller, address: str) -> str | None:
    """The key of a file that this server hands out: to ask itself, it might be too busy."""
    base, _, key = address.rpartition("/")
    ours = (services.config.public_url.rstrip("/"), caller.origin)
    return key if base and base in ours and KEY.fullmatch(key) else None
