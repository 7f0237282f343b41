"""The documentation page's form fields can be sent as they are shown."""

from typing import Any

import pytest

from astria_emulator.control.swagger import with_flat_forms
from astria_emulator.spec.openapi import JSON, Spec, default_path

SPEC = Spec.read(default_path())
FLAT = with_flat_forms(SPEC, "http://here")
FORMS = [
    (path, method, content_type)
    for path, item in FLAT["paths"].items()
    for method, operation in item.items()
    if isinstance(operation, dict)
    for content_type in operation.get("requestBody", {}).get("content", {})
    if content_type != JSON
]


def fields_of(path: str, method: str, content_type: str) -> dict[str, Any]:
    part = FLAT["paths"][path][method]["requestBody"]["content"][content_type]
    return part["schema"]["properties"]


@pytest.mark.parametrize(("path", "method", "content_type"), FORMS)
def test_field_shows_an_example_or_nothing(path, method, content_type):
    for name, schema in fields_of(path, method, content_type).items():
        assert "example" in schema or schema.get("format") == "binary", name
        assert isinstance(schema.get("type"), str | list), name


@pytest.mark.parametrize(("path", "method", "content_type"), FORMS)
def test_list_is_sent_as_repeated_fields(path, method, content_type):
    part = FLAT["paths"][path][method]["requestBody"]["content"][content_type]
    lists = {n for n, s in part["schema"]["properties"].items() if s["type"] == "array"}
    assert set(part["encoding"]) == lists


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_form_is_accepted_as_it_is_shown(api, content_type):
    fields = fields_of("/tunes", "post", content_type)
    shown = {name: schema.get("example") for name, schema in fields.items()}
    given = {name: value for name, value in shown.items() if value not in (None, "", [])}
    made = api.post("/tunes", data=given, content_type=content_type)
    assert made["branch"] == "fast"
    assert len(made["orig_images"]) == 2
    assert len(api.get(f"/tunes/{made['id']}/prompts")) == 1


def test_contract_itself_is_not_changed():
    before = Spec.read(default_path()).document
    with_flat_forms(SPEC, "http://here")
    assert SPEC.document == before
