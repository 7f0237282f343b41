"""Fuzz all readers of a request's body with libFuzzer, guided by coverage.

    python -m tools.fuzz_forms -max_total_time=300 corpus/

Each input must give a value or a refusal. Any other exception ends the run, and libFuzzer writes
the bytes to a file.
"""

import json
import sys
from io import BytesIO
from typing import Any

import atheris

with atheris.instrument_imports(include=["astria_emulator", "werkzeug.sansio.multipart"]):
    from astria_emulator.api.handlers import all_handlers
    from astria_emulator.api.operations import bind
    from astria_emulator.errors import ApiError
    from astria_emulator.request.bodies import read_multipart, read_urlencoded
    from astria_emulator.request.calls import Call, parse_json
    from astria_emulator.request.forms import nest
    from astria_emulator.request.image_headers import size_of
    from astria_emulator.spec.coercion import compile_coercion
    from astria_emulator.spec.openapi import JSON, Spec, default_path
    from astria_emulator.spec.schemas import Compiler

COMPILER = Compiler(Spec.read(default_path()))
OPERATIONS = {o.operation.id: o for o in bind(COMPILER.spec.operations, all_handlers(), COMPILER)}
CREATE_TUNE = OPERATIONS["create_tune"]
BODIES = CREATE_TUNE.operation.request_body["content"]  # type: ignore[index]
COERCIONS = {kind: compile_coercion(COMPILER.spec, part["schema"]) for kind, part in BODIES.items()}
MULTIPART, URLENCODED = "multipart/form-data", "application/x-www-form-urlencoded"
MAX_PART = 100_000


def load(kind: str, **body: Any) -> None:
    CREATE_TUNE.reader.load(Call({}, (), {}, kind, has_body=True, **body))


def read_json(data: bytes) -> None:
    value = parse_json(data)
    COERCIONS[JSON](value)
    load(JSON, text=data)


def read_form(data: bytes) -> None:
    fields = read_urlencoded(data)
    COERCIONS[URLENCODED](nest(fields))
    load(URLENCODED, fields=fields)


def read_parts(data: bytes) -> None:
    fields = read_multipart(BytesIO(data), "b", MAX_PART)
    COERCIONS[MULTIPART](nest(fields))
    load(MULTIPART, fields=fields)


def read_picture(data: bytes) -> None:
    size = size_of(data)
    assert size is None or min(size) > 0


READERS = (read_json, read_form, read_parts, read_picture)


def read_any(data: bytes) -> None:
    """Read bytes by the reader that the first byte chooses."""
    if not data:
        return
    try:
        READERS[data[0] % len(READERS)](data[1:])
    except ApiError as refusal:
        if not 400 <= refusal.status < 500:
            raise
        json.dumps(refusal.body, ensure_ascii=False).encode()


if __name__ == "__main__":
    atheris.Setup(sys.argv, read_any)
    atheris.Fuzz()
