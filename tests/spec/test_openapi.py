"""Reading a contract, all that may be wrong with one, and the contract itself."""

import re
from pathlib import Path
from typing import Any

import pytest

from astria_emulator.errors import SetupError
from astria_emulator.spec.openapi import Spec, load_yaml
from tests.spec.documents import operation


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(text: str) -> Path:
        path = tmp_path / "openapi.yaml"
        path.write_text(text)
        return path

    return written


def document(paths: Any, **components: Any) -> Spec:
    return Spec({"openapi": "3.1.0", "paths": paths, "components": components})


# -- files -----------------------------------------------------------------------------------------
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


# -- references ------------------------------------------------------------------------------------
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


# -- operations ------------------------------------------------------------------------------------
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
