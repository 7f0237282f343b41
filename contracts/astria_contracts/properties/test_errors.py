"""Every operation refuses wrong requests with the service's messages, and changes nothing."""

import http.client
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from astria_contracts.client import checks
from astria_contracts.client.api import Api
from astria_contracts.client.sample_requests import Request, request_of
from astria_contracts.client.target import ANSWER_SECONDS, Answer, Target
from astria_contracts.client.world import World
from astria_contracts.spec.document import JSON, Operation, read_document

DOCUMENT = read_document()
OPERATIONS = list(DOCUMENT.operations.values())
DENIED = "HTTP Token: Access denied."
NOBODY = 10**17  # an id that nothing has
PATHS = {operation.path for operation in OPERATIONS}


def each(operations: list[Operation]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operation", operations, ids=lambda operation: operation.id)


def with_status(status: int) -> list[Operation]:
    return [operation for operation in OPERATIONS if status in operation.responses]


def skip_if_costly(operation: Operation, target: Target) -> None:
    """Do not make what costs money, even for a request that is to be refused."""
    if target.avoids_costs and operation.id != "create_tune" and operation.bodies:
        pytest.skip(target.lacks["paid"])


def filled(operation: Operation, id: int = NOBODY) -> Request:
    """A request whose path names nothing that there is."""
    names = [one["name"] for one in operation.parameters if one["in"] == "path"]
    return Request(operation, path=dict.fromkeys(names, id))


# -- 401 -------------------------------------------------------------------------------------------
@each([operation for operation in OPERATIONS if operation.needs_key])
@pytest.mark.parametrize("key", ["none", "unknown", "other scheme"])
def test_without_a_key_everything_is_denied(
    api: Api, world: World, operation: Operation, key: str
) -> None:
    request = request_of(operation, world)
    before = api.newest()
    headers = {"none": {}, "unknown": {"Authorization": "Bearer wrong"}}
    headers["other scheme"] = {"Authorization": "Basic c2Q6eA=="}
    answer = request.send(api, key="", headers=headers[key])
    assert (answer.status_code, answer.text.strip()) == (401, DENIED)
    assert answer.headers["WWW-Authenticate"].startswith("Token realm=")
    assert api.newest() == before
    if operation.method == "DELETE":
        assert request.send(api).ok


@each([operation for operation in OPERATIONS if not operation.needs_key])
def test_public_list_needs_no_key(api: Api, operation: Operation) -> None:
    assert filled(operation).send(api, key="").status_code == 200


def test_denial_comes_before_all_else(api: Api) -> None:
    assert api.call("GET", "/tunes/1", key="").status_code == 401
    assert api.call("GET", "/tunes", key="", query={"offset": -1}).status_code == 401
    assert api.call("POST", "/tunes", key="", raw=b"{", media_type="text/x").status_code == 401


# -- 404 -------------------------------------------------------------------------------------------
@each([operation for operation in with_status(404) if "{" in operation.path])
def test_unknown_object_is_not_found(api: Api, world: World, operation: Operation) -> None:
    skip_if_costly(operation, api.target)
    body = request_of(operation, world).body
    for id in (NOBODY, 10**30):
        request = filled(operation, id).changed(("body",), body)
        answer = request.send(api)
        assert (answer.status_code, answer.json()) == (404, {"status": 404, "error": "Not Found"})


@each(
    [
        operation
        for operation in with_status(404)
        if any(one["name"] == "X-Workspace-Id" for one in operation.parameters)
    ]
)
def test_unknown_workspace_is_not_found(api: Api, world: World, operation: Operation) -> None:
    skip_if_costly(operation, api.target)
    request = request_of(operation, world)
    before = api.newest()
    answer = request.changed(("header", "X-Workspace-Id"), str(NOBODY)).send(api)
    assert answer.status_code == 404
    assert api.newest() == before


def test_unknown_path_is_not_found(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.key}"}
    for path in ("/no/such/path", "/tunes/1/no", "/generate"):
        answer = api.target.send("GET", path, headers=headers)
        assert answer.status_code == 404
        assert list(checks.error_problems(404, answer.json())) == []


# -- 405 -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", sorted(PATHS))
def test_other_method_is_answered_with_those_that_there_are(api: Api, path: str) -> None:
    has = {operation.method for operation in OPERATIONS if operation.path == path}
    headers = {"Authorization": f"Bearer {api.key}"}
    method = "POST" if "PATCH" in has else "PUT"  # which many servers take for PATCH
    at = re.sub(r"\{\w+\}", str(NOBODY), path)
    found = api.target.send(method, at, headers=headers)
    assert found.status_code == 405
    assert list(checks.error_problems(405, found.json())) == []
    assert has <= {one.strip() for one in found.headers["Allow"].split(",")}


# -- 400, 413 and 415 ------------------------------------------------------------------------------
@each([operation for operation in OPERATIONS if operation.bodies])
def test_body_that_is_no_json_is_a_bad_request(
    api: Api, world: World, operation: Operation
) -> None:
    skip_if_costly(operation, api.target)
    request = request_of(operation, world)
    before = api.newest()
    answer = request.changed(("body",), None).send(api, raw=b'{"a": ', media_type=JSON)
    assert answer.status_code == 400
    assert api.newest() == before


@each(with_status(415))
def test_body_of_another_type_is_refused(api: Api, world: World, operation: Operation) -> None:
    skip_if_costly(operation, api.target)
    request = request_of(operation, world)
    before = api.newest()
    assert request.send(api, raw=b"<a/>", media_type="application/xml").status_code == 415
    assert api.newest() == before


@each(with_status(413))
def test_body_that_is_too_large_is_refused_before_it_is_read(
    api: Api, world: World, operation: Operation
) -> None:
    request = request_of(operation, world)
    at = urlsplit(api.target.url)
    make = http.client.HTTPSConnection if at.scheme == "https" else http.client.HTTPConnection
    path = operation.path.format(**request.path)
    api.target.pace()
    connection = make(at.netloc, timeout=ANSWER_SECONDS)
    connection.putrequest(operation.method, at.path + path)
    connection.putheader("Authorization", f"Bearer {api.key}")
    connection.putheader("Content-Type", JSON)
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    try:
        found = connection.getresponse()
        answer = Answer(found.status, dict(found.headers), found.read())
    finally:
        connection.close()
    wrong = api.target.record(operation, f"curl -X {operation.method} {path}", answer)
    assert (answer.status, wrong) == (413, [])


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/tunes", {"limit": "many"}),
        ("/tunes", {"limit": 0}),
        ("/tunes", {"offset": -1}),
        ("/tunes", {"before_id": "x"}),
        ("/prompts", {"before_id": 10**19}),
        ("/prompts", {"liked": "perhaps"}),
        ("/prompts", {"expand[]": "everything"}),
    ],
)
def test_query_that_cannot_be_read_is_a_bad_request(
    api: Api, path: str, query: dict[str, Any]
) -> None:
    answer = api.refused(400, "GET", path, query=query)
    assert next(iter(query)).removesuffix("[]") in answer.json()["error"]


def test_workspace_that_is_no_number_is_a_bad_request(api: Api) -> None:
    api.refused(400, "GET", "/tunes", headers={"X-Workspace-Id": "mine"})


# -- 422 -------------------------------------------------------------------------------------------
def test_refusal_names_all_that_is_wrong_at_once(api: Api) -> None:
    tune = {
        "branch": "sd9",
        "steps": 0,
        "callback": "nowhere",
        "prompts_attributes": [{"seed": -1}],
    }
    before = api.newest()
    errors = api.refused(422, "POST", "/tunes", {"tune": tune}).json()
    fields = {"title", "name", "branch", "steps", "callback", "images", "prompts.seed"}
    assert fields <= set(errors)
    assert errors["title"] == errors["name"] == ["can't be blank"]
    assert errors["images"] == ["must contain at least one image"]
    assert api.newest() == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"base_tune_id": NOBODY}, "base_tune_id"),
        ({"image_urls": []}, "images"),
        ({"prompts_attributes": [{"text": "fine"}, {"text": " "}]}, "prompts.text"),
        ({"prompts_attributes": [{"text": "fine", "num_images": 9}]}, "prompts.num_images"),
        ({"title": {"a": "b"}}, "title"),
        ({"callback": "javascript:alert(1)"}, "callback"),
    ],
)
def test_refused_tune_leaves_nothing(api: Api, change: dict[str, Any], field: str) -> None:
    sent, before = api.tune_attributes(**change), api.newest()
    assert list(api.refused(422, "POST", "/tunes", {"tune": sent}).json()) == [field]
    assert api.newest() == before
    if isinstance(sent["title"], str):
        assert api.ids("/tunes", title=sent["title"]) == []


def test_refused_change_changes_nothing(api: Api, world: World) -> None:
    path = f"/tunes/{world.tune['id']}"
    before = api.get(path)
    body = {"tune": {"title": "half", "name": " ", "auto_extend": "perhaps"}}
    assert "auto_extend" in api.refused(422, "PATCH", path, body).json()
    assert api.get(path) == before
    path = f"/prompts/{world.prompt['id']}"
    before = api.get(path)
    change = {"prompt": {"base_pack_id": world.pack["id"] + 10**9, "orig_prompt_id": None}}
    assert api.refused(422, "PATCH", path, change).json() == {"base_pack_id": ["must exist"]}
    assert api.get(path) == before


def test_odd_text_is_no_trouble(api: Api, world: World) -> None:
    for text in ("<lora:99999999999999999999:1>", "{{", "--", "<lora::>", "%s %d {0}", "\\u0000"):
        made = api.prompt(world.tune["id"], text=f"a {text}", num_images=1)
        assert made["tunes"] == []
    api.refused(400, "POST", "/tunes", {"tune": api.tune_attributes(title="nul \0")})
