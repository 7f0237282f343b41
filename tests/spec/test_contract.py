"""The contract of this project, as a document."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from astria_emulator.spec import openapi as spec_module
from astria_emulator.spec.openapi import METHODS, Spec, default_path

CONTRACT = Spec.read(default_path())
CONTROL = Spec.read(Path(spec_module.__file__).with_name("control.yaml"))
BOTH = pytest.mark.parametrize("spec", [CONTRACT, CONTROL], ids=["openapi", "control"])


# -- the contract itself ---------------------------------------------------------------------------
def nodes(spec: Spec) -> Iterator[tuple[str, Any]]:
    """Every operation's node, callbacks' among them, by a name."""

    def of_paths(paths: Any, where: str) -> Iterator[tuple[str, Any]]:
        for path, item in paths.items():
            for method in METHODS:
                if method in item:
                    name = f"{where}{method.upper()} {path}"
                    yield name, item[method]
                    for event, callback in item[method].get("callbacks", {}).items():
                        yield from of_paths(callback, f"{name} {event} ")

    return of_paths(spec.document["paths"], "")


def media(spec: Spec) -> Iterator[tuple[str, str, Any]]:
    """Every body of a request or an answer: where it is, its content type, its node."""
    for name, node in nodes(spec):
        bodies = {"request": node["requestBody"]} if "requestBody" in node else {}
        for place, body in (bodies | node["responses"]).items():
            for content_type, part in spec.resolve(body).get("content", {}).items():
                yield f"{name} {place}", content_type, part
    for name, response in spec.document["components"].get("responses", {}).items():
        for content_type, part in response.get("content", {}).items():
            yield f"response {name}", content_type, part


def examples(spec: Spec, node: Any) -> Iterator[tuple[str, Any]]:
    if "example" in node:
        yield "example", node["example"]
    for name, example in node.get("examples", {}).items():
        yield name, spec.resolve(example)["value"]


def errors_of(spec: Spec, schema: Any, value: Any) -> list[str]:
    whole = {**schema, "components": spec.document["components"]}
    return [error.message for error in jsonschema_rs.Draft202012Validator(whole).iter_errors(value)]


@BOTH
def test_contract_is_a_valid_openapi_document(spec: Spec) -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(spec.document).iter_errors()] == []


@BOTH
def test_every_example_meets_its_schema(spec: Spec) -> None:
    broken = {
        f"{where} {content_type} {name}": errors
        for where, content_type, part in media(spec)
        for name, value in examples(spec, part)
        if (errors := errors_of(spec, part["schema"], value))
    }
    assert broken == {}


@BOTH
def test_every_example_of_a_parameter_header_or_schema_meets_its_schema(spec: Spec) -> None:
    def walk(node: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
        if isinstance(node, list):
            for index, child in enumerate(node):
                yield from walk(child, f"{where}[{index}]")
        elif isinstance(node, dict):
            if "schema" in node and "content" not in node:
                yield from ((where, node["schema"], value) for _, value in examples(spec, node))
            elif "type" in node and "example" in node:
                yield where, node, node["example"]
            for key, child in node.items():
                if key not in ("examples", "example", "value"):
                    yield from walk(child, f"{where}.{key}")

    found = list(walk(spec.document, ""))
    broken = {
        where: errors
        for where, schema, value in found
        if (errors := errors_of(spec, schema, value))
    }
    assert broken == {}
    assert found


def test_every_component_example_is_used() -> None:
    text = default_path().read_text()
    unused = [
        name
        for name in CONTRACT.document["components"]["examples"]
        if f'"#/components/examples/{name}"' not in text
    ]
    assert unused == []


@BOTH
def test_every_default_meets_its_schema(spec: Spec) -> None:
    def walk(node: Any, where: str) -> Iterator[tuple[str, Any]]:
        if isinstance(node, dict):
            if "default" in node and ("type" in node or "$ref" in node):
                yield where, node
            for key, child in node.items():
                yield from walk(child, f"{where}.{key}")
        elif isinstance(node, list):
            for child in node:
                yield from walk(child, where)

    found = list(walk({**spec.document, "components": {
        key: value for key, value in spec.document["components"].items() if key != "examples"
    }}, ""))  # fmt: skip
    assert found
    assert {
        where: e for where, node in found if (e := errors_of(spec, node, node["default"]))
    } == {}


@BOTH
def test_every_operation_has_a_summary_and_an_id_of_its_own(spec: Spec) -> None:
    assert [name for name, node in nodes(spec) if not node.get("summary")] == []
    ids = [operation.id for operation in spec.operations]
    assert len(set(ids)) == len(ids)


@BOTH
def test_every_request_and_every_json_answer_has_an_example(spec: Spec) -> None:
    without = [
        f"{where} {content_type}"
        for where, content_type, part in media(spec)
        if where.rpartition(" ")[2][0] in "r2" and not list(examples(spec, part))
    ]
    assert without == []


def expected_refusals(operation: Any) -> set[str]:
    """What every operation of its kind may answer; see docs/api of 2026-08-21."""
    places = {parameter["in"] for parameter in operation.parameters}
    codes = {"429", "500", "504"}
    codes |= {"401"} if operation.needs_key else set()
    codes |= {"404"} if places & {"path", "header"} else set()
    codes |= {"400"} if places & {"query"} or operation.request_body else set()
    return codes | ({"413", "415", "422"} if operation.request_body else set())


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_operation_documents_its_refusals(operation: Any) -> None:
    assert expected_refusals(operation) - operation.responses.keys() == set()


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_operation_takes_every_encoding_if_it_takes_a_body(operation: Any) -> None:
    if operation.request_body:
        assert set(operation.request_body["content"]) == {
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
        }


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_parameters_of_the_path_are_those_that_are_declared(operation: Any) -> None:
    declared = {
        parameter["name"] for parameter in operation.parameters if parameter["in"] == "path"
    }
    for path in (operation.path, *operation.aliases):
        assert set(re.findall(r"\{(\w+)\}", path)) == declared
