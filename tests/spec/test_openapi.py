"""Reading a contract, all that may be wrong with one, and the contract itself."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from astria_emulator.errors import SetupError
from astria_emulator.spec import openapi as spec_module
from astria_emulator.spec.openapi import METHODS, Spec, default_path, load_yaml

CONTRACT = Spec.read(default_path())
CONTROL = Spec.read(Path(spec_module.__file__).with_name("control.yaml"))
BOTH = pytest.mark.parametrize("spec", [CONTRACT, CONTROL], ids=["openapi", "control"])


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(text: str) -> Path:
        path = tmp_path / "openapi.yaml"
        path.write_text(text)
        return path

    return written


def document(paths: Any, **components: Any) -> Spec:
    return Spec({"openapi": "3.1.0", "paths": paths, "components": components})


def operation(**node: Any) -> Any:
    return {"operationId": "it", "responses": {"200": {"description": "Done."}}, **node}


# -- files ---------------------------------------------------------------------------------------
def test_timestamps_stay_text_as_they_are_in_json(write: Any) -> None:
    path = write("a: 2026-01-01\nb: 2026-01-01T00:00:00Z\nc: {2001-12-14: 1}\n")
    assert load_yaml(path) == {
        "a": "2026-01-01",
        "b": "2026-01-01T00:00:00Z",
        "c": {"2001-12-14": 1},
    }


def test_quoted_words_stay_text(write: Any) -> None:
    assert load_yaml(write('a: "no"\nb: "null"\nc: "1"\n')) == {"a": "no", "b": "null", "c": "1"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "did not find expected node content"),
        ("a: b: c", "mapping values are not allowed"),
        ("\t- a", "cannot start any token"),
        ("", "expected an OpenAPI 3.1 document"),
        ("[]", "expected an OpenAPI 3.1 document"),
        ("openapi", "expected an OpenAPI 3.1 document"),
        ("openapi: 3.0.3", "expected an OpenAPI 3.1 document"),
        ("openapi: 3.10.0", "expected an OpenAPI 3.1 document"),
        ("swagger: 2.0", "expected an OpenAPI 3.1 document"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
    ],
)
def test_file_is_refused_when_it_is_no_openapi_3_1_document(
    text: str, problem: str, write: Any
) -> None:
    path = write(text)
    with pytest.raises(SetupError, match=re.escape(str(path))) as refused:
        Spec.read(path)
    assert problem in refused.value.problems[0]


def test_file_is_refused_when_it_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="No such file"):
        Spec.read(tmp_path / "openapi.yaml")


@pytest.mark.parametrize("word", ["no", "No", "off", "on", "yes", "y"])
def test_words_that_old_yaml_takes_for_booleans_stay_text(word: str, write: Any) -> None:
    assert load_yaml(write(f"a: {word}\n{word}: a\n")) == {"a": word, word: "a"}


@pytest.mark.parametrize(
    "line", ["x-a: .nan", "x-a: .inf", "1: a", "x-a: !!binary aGk=", "x-a: !!set {a}"]
)
def test_file_is_refused_when_json_has_no_such_value(line: str, write: Any) -> None:
    with pytest.raises(SetupError):
        Spec.read(write(f"openapi: 3.1.0\n{line}\n"))


# -- references ----------------------------------------------------------------------------------
def test_reference_is_followed_and_keywords_beside_it_win() -> None:
    spec = document(
        {},
        schemas={
            "A": {"type": "string", "title": "A"},
            "B": {"$ref": "#/components/schemas/A", "title": "B"},
            "a/b~c": {"type": "integer"},
        },
    )
    assert spec.schema("B") == {"type": "string", "title": "B"}
    chained = {"$ref": "#/components/schemas/B", "default": ""}
    assert spec.resolve(chained) == {"type": "string", "title": "B", "default": ""}
    assert spec.resolve({"$ref": "#/components/schemas/a~1b~0c"}) == {"type": "integer"}
    assert spec.resolve({"type": "null"}) == {"type": "null"}


@pytest.mark.parametrize(
    "reference",
    [
        "#/components/schemas/Missing",
        "#/components/schemas/A/type/no",
        "other.yaml#/a",
        "#/paths/~1a",
    ],
)
def test_reference_is_named_when_it_leads_nowhere(reference: str) -> None:
    spec = document({}, schemas={"A": {"type": "string"}})
    with pytest.raises(LookupError, match=re.escape(reference)):
        spec.resolve({"$ref": reference})


def test_object_parts_are_those_of_an_all_of_at_any_depth() -> None:
    a, b, c = ({"type": "object", "properties": {name: {}}} for name in "abc")
    spec = document({}, schemas={"A": a, "AB": {"allOf": [{"$ref": "#/components/schemas/A"}, b]}})
    parts = spec.object_parts({"allOf": [{"$ref": "#/components/schemas/AB"}, c]})
    assert parts == [a, b, c]
    assert spec.object_parts(a) == [a]


# -- operations ----------------------------------------------------------------------------------
def test_operations_are_read_with_their_references_resolved() -> None:
    spec = document(
        {
            "/a/{id}": {
                "x-aliases": ["/b/{id}"],
                "parameters": [{"$ref": "#/components/parameters/Id"}],
                "get": operation(parameters=[{"name": "q", "in": "query"}]),
                "post": operation(
                    operationId="make",
                    requestBody={"x-wrapper": "a", "content": {}},
                    responses={"422": {}, "201": {"$ref": "#/components/responses/Made"}},
                ),
            }
        },
        parameters={"Id": {"name": "id", "in": "path"}},
        responses={"Made": {"content": {"application/json": {"schema": {"type": "object"}}}}},
    )
    get, post = spec.operations
    assert (get.id, get.method, get.path, get.aliases) == ("it", "GET", "/a/{id}", ("/b/{id}",))
    assert [parameter["name"] for parameter in get.parameters] == ["id", "q"]
    assert (get.wrapper, get.success) == (None, (200, None))
    assert (post.id, post.method, post.wrapper) == ("make", "POST", "a")
    assert post.success == (201, {"type": "object"})


@pytest.mark.parametrize(
    ("whole", "own", "needs_key"),
    [
        ([{"bearer": []}], None, True),
        ([{"bearer": []}], [], False),
        ([{"bearer": []}], [{}, {"bearer": []}], False),
        ([], None, False),
        ([], [{"bearer": []}], True),
    ],
)
def test_operation_needs_a_key_as_its_security_says(whole: Any, own: Any, needs_key: bool) -> None:
    node = operation() if own is None else operation(security=own)
    spec = Spec({"paths": {"/a": {"get": node}}, "security": whole})
    assert spec.operations[0].needs_key is needs_key


def test_everything_wrong_with_the_operations_is_listed_at_once() -> None:
    reference = {"$ref": "#/components/parameters/Missing"}
    spec = document(
        {
            "/a": {
                "get": operation(parameters=[reference]),
                "post": operation(responses={"404": {}}),
            },
            "/b": {"put": operation(responses={}), "get": operation()},
            "/c": {"patch": operation(requestBody={"$ref": "#/components/requestBodies/No"})},
            "/d": {"delete": operation(responses={"200": {"$ref": "#/components/responses/No"}})},
        }
    )
    with pytest.raises(SetupError) as refused:
        _ = spec.operations
    assert refused.value.problems == (
        "GET /a: '#/components/parameters/Missing' leads nowhere",
        "POST /a: has no 2xx response",
        "PUT /b: has no 2xx response",
        "PATCH /c: '#/components/requestBodies/No' leads nowhere",
        "DELETE /d: '#/components/responses/No' leads nowhere",
    )
    assert all(problem in str(refused.value) for problem in refused.value.problems)


def test_operation_without_an_id_is_told_as_such() -> None:
    with pytest.raises(SetupError) as refused:
        _ = document({"/a": {"get": {"responses": {"200": {}}}}}).operations
    assert "leads nowhere" not in refused.value.problems[0]


# -- the contract itself -------------------------------------------------------------------------
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
