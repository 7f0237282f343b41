"""Any bytes at all: a request answers, or is refused in the wire's form and changes nothing."""

import contextlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from astria_emulator.errors import BadRequest, TooLarge
from astria_emulator.objects.accounts import authenticate
from astria_emulator.request import bodies, forms
from astria_emulator.request.bodies import read_multipart, read_urlencoded
from astria_emulator.request.forms import nest
from astria_emulator.request.uploads import Upload
from astria_emulator.spec.openapi import Spec, default_path
from astria_emulator.storage.store import Query
from tests import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = [o for o in Spec.read(default_path()).operations if o.method in ("POST", "PATCH")]
LARGE = 1_000_000
TABLES = ("tune", "prompt", "pack", "workspace", "order", "run")
FIXED = settings(
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)

# -- any body on every operation -------------------------------------------------------------------
KINDS = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b",
     "multipart/form-data", "text/plain", "", "application/json; charset=latin-1", "\xff", "a/b/c"]
)  # fmt: skip
WORDS = st.sampled_from(
    [b"tune", b"prompt", b"theme", b"pack", b"workspace", b"text", b"title", b"images", b"[", b"]",
     b"[]", b"=", b"&", b"%00", b"%ff", b"{", b"}", b'"', b":", b",", b"\\ud800", b"\\u0000",
     b"1e999",
     b"null", b"9" * 30, b"--b\r\n", b"--b--\r\n", b"\r\n\r\n", b'"tune":{', b'"prompt":{', b"\xff",
     b'Content-Disposition: form-data; name="tune[images][]"; filename="a"\r\n\r\n',
     b"Content-Disposition: form-data; name=prompt[text]\r\n\r\n"]
)  # fmt: skip
NAMES = st.sampled_from(
    ["tune", "prompt", "theme", "pack", "workspace", "text", "title", "name", "image_urls", "seed",
     "tune_ids", "prompts_attributes", "prompt_attributes", "characteristics", "callback", "w",
     "input_image_base64", "image_index", "file_url"]
) | st.text(max_size=3)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
BODIES = (
    st.binary(max_size=60)
    | st.lists(WORDS, max_size=14).map(b"".join)
    | st.builds(lambda key, value: {key: value}, NAMES, JSON).map(json.dumps).map(str.encode)
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_any_body_is_answered_or_refused_in_the_wires_form(
    make_api: Callable[..., Any], operation: Any
) -> None:
    api = make_api()
    tune = api.tune()
    prompt = api.prompt(690204)
    api.finish()
    path = operation.path.replace("{id_or_slug}", "260").replace("{tune_id}", "690204")
    path = path.replace("{id}", str(prompt["id"] if "prompt" in path else tune["id"]))
    services = api.client.application.services
    account = authenticate(services, f"Bearer {api.key}").id

    def stored() -> list[Any]:
        found = [services.store.find(table, Query(account)) for table in TABLES]
        return [[(row.id, row.get("title"), row.get("pack_id")) for row in rows] for rows in found]

    @settings(FIXED, max_examples=60)
    @given(BODIES, KINDS)
    @example(b'{"prompt": {"text": "\xed\xa0\x80"}}', "application/json")
    def check(body: bytes, kind: str) -> None:
        before = stored()
        answer = api.call(operation.method, path, data=body, content_type=kind)
        assert answer.status_code < 500
        if answer.status_code == 422:
            assert answer.json
            assert all(isinstance(text, str) for texts in answer.json.values() for text in texts)
        elif answer.status_code >= 400:
            assert answer.json["status"] == answer.status_code
            assert set(answer.json) == {"status", "error"}
        if answer.status_code >= 400:
            assert stored() == before

    check()


# -- forms -----------------------------------------------------------------------------------------
STEPS = st.sampled_from(["a", "b", "", "0", "[", "]", "a[", "\0"]) | st.text(max_size=2)
FIELD_NAMES = st.builds(
    lambda first, rest: first + "".join(f"[{step}]" for step in rest),
    st.sampled_from(["a", "b", ""]) | st.text(max_size=2),
    st.lists(STEPS, max_size=6),
)


@FIXED
@given(st.lists(st.tuples(FIELD_NAMES, st.text(max_size=2)), max_size=12))
def test_any_fields_are_nested_or_a_bad_request(pairs: list[tuple[str, str]]) -> None:
    try:
        found = nest(pairs)
    except BadRequest:
        return
    json.dumps(found)


@pytest.mark.parametrize(
    "names",
    [
        lambda at: "a[][b]", lambda at: "a[]", lambda at: f"a[{at}]", lambda at: f"a[{at}][b]",
        lambda at: f"a[][b{at}]", lambda at: "a[][b][][c]", lambda at: "a" + "[b]" * 30,
        lambda at: "a[][b" + "[" * 200, lambda at: f"a[][b][c{at}]",
    ],
)  # fmt: skip
def test_fields_are_nested_in_steps_that_grow_as_they_do(names: Any) -> None:
    assert lines_of(names, 4000) < 2.2 * lines_of(names, 2000)


def lines_of(names: Callable[[int], str], count: int) -> int:
    """Lines of `forms.py` that are run to nest so many fields."""
    pairs = [(names(at), "x") for at in range(count)]
    run = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal run
        if frame.f_code.co_filename != forms.__file__:
            return None
        run += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        nest(pairs)
    finally:
        sys.settrace(before)
    return run


# -- multipart -------------------------------------------------------------------------------------
PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(
    lambda text: not set('"\\%') & set(text) and text == text.strip()
)
PARTS = st.lists(
    st.tuples(PLAIN, TEXT | st.tuples(PLAIN, st.binary(max_size=200))), min_size=1, max_size=6
)
BOUNDARIES = st.text("abcXYZ019'()+_,-./:=?", min_size=1, max_size=70)


@settings(FIXED, max_examples=300)
@given(PARTS, BOUNDARIES, st.integers(1, 300))
def test_multipart_form_gives_the_parts_that_were_sent(
    monkeypatch: pytest.MonkeyPatch, parts: Any, boundary: str, chunk: int
) -> None:
    monkeypatch.setattr(bodies, "CHUNK", chunk)
    sent, expected = [], []
    for name, value in parts:
        if isinstance(value, str):
            sent.append(RequestField(name, value.encode()))
            expected.append((name, value))
        else:
            file, content = value
            sent.append(RequestField(name, content, file, {"Content-Type": "image/png"}))
            expected.append((name, Upload(file, "image/png", content)))
        sent[-1].make_multipart(content_type=sent[-1].headers.get("Content-Type"))
    body, _ = encode_multipart_formdata(sent, boundary)
    if any(boundary.encode() in piece for piece in contents(parts)):
        return
    assert read_multipart(BytesIO(body), boundary, LARGE) == expected


def contents(parts: Any) -> list[bytes]:
    return [value.encode() if isinstance(value, str) else value[1] for _, value in parts]


@FIXED
@given(st.lists(WORDS | st.binary(max_size=6), max_size=20).map(b"".join), st.integers(1, 50))
def test_any_form_is_read_or_refused(
    monkeypatch: pytest.MonkeyPatch, body: bytes, chunk: int
) -> None:
    monkeypatch.setattr(bodies, "CHUNK", chunk)
    for read in (lambda: read_multipart(BytesIO(body), "b", 20), lambda: read_urlencoded(body)):
        with contextlib.suppress(BadRequest, TooLarge):
            assert isinstance(read(), list)


# -- guided by coverage ----------------------------------------------------------------------------
def test_fuzzer_finds_nothing_in_a_short_run(tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: it runs on Linux only")
    command = [sys.executable, "-m", "tools.fuzz_forms", "-seed=1", "-runs=20000", "-max_len=400"]
    kept = f"-artifact_prefix={tmp_path}/"
    found = subprocess.run(
        [*command, kept], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert found.returncode == 0, found.stderr[-3000:]
    assert "Done 20000 runs" in found.stderr
