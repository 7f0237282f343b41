"""The key of a file: 28 characters made from the seed, its place and its content.

Of a file on disk, which a backend wrote, it is random: nobody can compute the address of real
weights.
"""

import json
import re
import secrets
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

KEY_LENGTH = 28
KEY = re.compile(rf"[0-9a-z]{{{KEY_LENGTH}}}")
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS = [low + high for high in DIGITS for low in DIGITS]
_DIGITS_OF_PART = 14
_PART = 36**_DIGITS_OF_PART
_as_text = json.JSONEncoder(sort_keys=True).encode
Content = bytes | Path | Mapping[str, Any]


def key_of(seed: int, place: str, content: Content) -> str:
    """Return the key of a file at a place such as `tune/5000001/image/0`."""
    if isinstance(content, Path):
        return base36(secrets.token_bytes(24))
    prefix = f"{seed}/{place}".encode()
    digest = _digest(content, prefix[:64])
    return base36(blake2b(prefix + digest, digest_size=24).digest())


def _digest(content: bytes | Mapping[str, Any], key: bytes) -> bytes:
    """Return 16 bytes that differ between contents."""
    raw = content if isinstance(content, bytes) else _as_text(content).encode()
    return blake2b(raw, digest_size=16, key=key).digest()


def base36(digest: bytes) -> str:
    """Return 28 base-36 characters of a digest of at least 24 bytes, the lowest digit first."""
    number = int.from_bytes(digest)
    text = ""
    while len(text) < KEY_LENGTH:
        number, part = divmod(number, _PART)  # few divisions of large numbers, which are slow
        for _ in range(_DIGITS_OF_PART // 2):
            part, pair = divmod(part, len(_PAIRS))
            text += _PAIRS[pair]
    return text
