"""The contract drives the server: what a copy of it adds works, what it breaks is told at start."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from astria_emulator.errors import SetupError
from astria_emulator.spec.openapi import default_path

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Document:
    return yaml.safe_load(default_path().read_text())


@pytest.fixture
def start(document: Document, tmp_path: Path, make_api: Callable[..., Any]) -> Callable[..., Any]:
    """Starts the server on a changed copy of the contract."""

    def start(change: Callable[[Document], None]) -> Any:
        changed = copy.deepcopy(document)
        change(changed)
        path = tmp_path / "openapi.yaml"
        path.write_text(yaml.safe_dump(changed))
        return make_api(spec_path=path)

    return start


def schemas(document: Document) -> Document:
    return document["components"]["schemas"]


def add_fields(document: Document) -> None:
    """An optional field each for tunes and prompts, in request and answer."""
    mood = {"type": ["string", "null"], "enum": ["calm", "bright", None]}
    schemas(document)["TuneFields"]["properties"]["mood"] = mood
    schemas(document)["Tune"]["properties"]["mood"] = mood
    weight = {"type": ["integer", "null"], "minimum": 0, "maximum": 10}
    schemas(document)["PromptFields"]["properties"]["weight"] = weight
    schemas(document)["Prompt"]["properties"]["weight"] = weight


def test_added_field_is_accepted_kept_and_returned(start):
    api = start(add_fields)
    made = api.tune(mood="calm", prompts_attributes=[{"text": "ohwx woman", "weight": 3}])
    assert made["mood"] == "calm"
    assert api.get(f"/tunes/{made['id']}")["mood"] == "calm"
    assert api.get("/tunes")[0]["mood"] == "calm"
    assert api.get(f"/tunes/{made['id']}/prompts")[0]["weight"] == 3


def test_added_field_is_read_from_a_form(start):
    api = start(add_fields)
    tune = api.tune()
    form = {"prompt[text]": "ohwx woman", "prompt[weight]": "7"}
    assert api.post(f"/tunes/{tune['id']}/prompts", data=form)["weight"] == 7


def test_added_field_is_copied_by_a_duplicate(start):
    api = start(add_fields)
    prompt = api.prompt(api.tune()["id"], weight=4)
    assert api.post(f"/prompts/{prompt['id']}/duplicate", {})["weight"] == 4


def test_added_field_is_checked(start):
    api = start(add_fields)
    answer = api.call(
        "POST", "/tunes", json={"tune": {"title": "Jane", "name": "cat", "mood": "loud"}}
    )
    assert answer.status_code == 422
    assert answer.json["mood"] == ["is not included in the list"]


def test_default_and_limit_and_enum_follow_the_contract(start):
    def change(document: Document) -> None:
        schemas(document)["NewPrompt"]["properties"]["num_images"]["default"] = 2
        schemas(document)["PromptFields"]["properties"]["num_images"]["maximum"] = 3
        schemas(document)["PromptFields"]["properties"]["style"]["enum"].append("Woodcut")

    api = start(change)
    tune = api.tune()
    assert api.prompt(tune["id"])["num_images"] == 2
    assert api.prompt(tune["id"], style="Woodcut")["style"] == "Woodcut"
    path = f"/tunes/{tune['id']}/prompts"
    refused = api.call("POST", path, json={"prompt": {"text": "x", "num_images": 4}})
    assert refused.json == {"num_images": ["must be less than or equal to 3"]}


def test_removed_field_does_not_exist(start):
    def change(document: Document) -> None:
        del schemas(document)["Tune"]["properties"]["args"]
        schemas(document)["Tune"]["required"].remove("args")

    assert "args" not in start(change).tune()


def test_broken_contract_is_refused_with_all_that_is_wrong(start):
    def change(document: Document) -> None:
        schemas(document)["PromptFields"]["properties"]["seed"]["minimumm"] = 0
        schemas(document)["Tune"]["properties"]["args"]["type"] = "text"
        schemas(document)["User"]["properties"]["email"]["format"] = "e-mail"
        document["paths"]["/tunes"]["get"]["operationId"] = "list_toons"

    with pytest.raises(SetupError) as refused:
        start(change)
    problems = "\n".join(refused.value.problems)
    for part in (
        "minimumm",
        "'text'",
        "'e-mail'",
        "'list_toons' has no handler",
        "'list_tunes' has no operation",
    ):
        assert part in problems


def test_dangling_references_are_all_told(start):
    def change(document: Document) -> None:
        operation = document["paths"]["/tunes"]["post"]
        operation["parameters"] = [{"$ref": "#/components/parameters/Nowhere"}]
        document["paths"]["/users"]["get"]["responses"]["401"] = {
            "$ref": "#/components/responses/Gone"
        }

    with pytest.raises(SetupError) as refused:
        start(change)
    assert len(refused.value.problems) == 2
