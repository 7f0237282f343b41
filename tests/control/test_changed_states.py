"""Exports that people change: refused, or as good as what requests create; and random histories."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astria_emulator import Config, create_app
from astria_emulator.control import handlers
from astria_emulator.control.row_checks import ROWS, fields_of, shapes
from astria_emulator.domain.gallery import load_gallery
from tests.conftest import START, Api
from tests.control.changed_states import (
    CALLBACK,
    DELETED,
    SMALL,
    VALUES,
    VIDEO,
    DeadOutbox,
    api_of,
    changed,
    exported,
    fill,
    imported,
    paths,
    use,
)

settings.register_profile(
    "one server", settings.get_profile("calm"), suppress_health_check=list(HealthCheck)
)
SHARED = settings.get_profile("one server")  # the server is a fixture of the module


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    config = Config(clock=START, train_seconds=60, prompt_seconds=60)
    app = create_app(config, outbox=DeadOutbox())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handlers, "CALLBACK_SECONDS", 0)  # one that a change holds never comes
        yield api_of(app)
    app.close()


@pytest.fixture(scope="module")
def source(api: Api) -> dict[str, bytes]:
    """The entries of an export with objects of every kind and state."""
    api.client.post("/_emulator/reset")
    fill(api)
    return exported(api)


@pytest.fixture(scope="module")
def document(source: dict[str, bytes]) -> Any:
    return json.loads(source["state.json"])


def packed(source: dict[str, bytes], document: Any) -> dict[str, bytes]:
    return {**source, "state.json": json.dumps(document).encode()}


# -- what is changed -------------------------------------------------------------------------------
def test_source_has_objects_in_most_states(document: Any) -> None:
    states = {
        (table, row["data"].get("state"))
        for table in document["tables"]
        for row in document["tables"][table]
    }
    assert states >= {("tune", state) for state in ("queued", "training", "trained")}
    assert states >= {
        ("prompt", state) for state in ("waiting", "generating", "finished", "failed")
    }
    assert set(document["tables"]) >= {"run", "pack", "workspace", "delivery", "setting", "user"}


def test_export_as_it_is_can_be_used(api: Api, source: dict[str, bytes]) -> None:
    assert imported(api, source).status_code == 200
    assert exported(api) == source
    use(api)


NAMES = {name for component in ROWS.values() for name in fields_of(component)}
NAMES |= {"cost_mc", "args", "debug_images", "comments", "rendered", "id", "preset", "theme"}


@settings(SHARED, max_examples=150)
@given(data=st.data())
def test_changed_export_is_refused_or_can_be_used(
    api: Api, source: dict[str, bytes], document: Any, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(sorted(paths(document), key=str)))
    if data.draw(st.booleans()) and "data" in path[3:4]:
        path = (*path[:4], data.draw(st.sampled_from(sorted(NAMES))))  # a field of any table
    value = data.draw(st.sampled_from(VALUES))
    answer = imported(api, packed(source, changed(document, path, value)))
    assert answer.status_code in (200, 400, 422), answer.text
    if answer.status_code == 200:
        use(api)


@pytest.mark.parametrize(
    ("table", "row", "field", "value", "told"),
    [
        # What a request gives, by the rules of the request.
        ("prompt", {}, "w", "64", "must be an integer"),
        ("prompt", {}, "w", 10**9, "must be less than or equal to 4096"),
        ("prompt", {}, "h", 65, "must be a multiple of 8"),
        ("prompt", {}, "style", "none such", "is not included in the list"),
        ("prompt", {}, "cfg_scale", 16, "must be less than or equal to 15"),
        ("prompt", {}, "callback", "ftp://a.test", "is not a valid URL"),
        ("prompt", {}, "scheduler", 1, "is not a string"),
        ("tune", {}, "steps", 0, "must be greater than or equal to 1"),
        ("tune", {}, "preset", "none such", "is not included in the list"),
        ("tune", {}, "title", " ", "can't be blank"),
        ("tune", {}, "characteristics", {"a": []}, None),
        ("pack", {}, "model_type", "none such", "is not included in the list"),
        ("workspace", {}, "brief", 1, "is not a string"),
        # What no request gives.
        ("prompt", {}, "num_images", 9, "must be less than or equal to 8"),
        ("prompt", {}, "tune", {"id": 1}, None),
        ("prompt", {}, "branch", "none such", "is not included in the list"),
        ("prompt", {}, "cost_mc", "much", "is no field of a prompt"),
        ("tune", {}, "id", 7, "is no field of a tune"),
        ("delivery", {}, "image_keys", 7, "is no field of a delivery"),
        ("prompt", {}, "caption_names", ["a"], "is no field of a prompt"),
        ("delivery", {}, "body", "text", "is not an object"),
        ("delivery", {}, "body", DELETED, "is missing"),
        ("prompt", {}, "backend", "a\nb", "is invalid"),
        ("tune", {}, "backend", "\u00e4", "is invalid"),
        ("pack", {}, "token", "", "is invalid"),
        # Rules that no schema tells.
        ("prompt", {"branch": "sd15"}, "w", 1024, "must be less than or equal to 768"),
        ("prompt", {"branch": "flux1"}, "negative_prompt", "rain", "not supported on Flux"),
        ("prompt", {"state": "finished"}, "state", "queued", None),
        ("tune", {"state": "trained"}, "state", "training", None),
        # What is named is there.
        ("prompt", {}, "tune_id", 5_000_099, "is no tune that it may name"),
        ("prompt", {}, "home_tune_id", 5_000_099, "is no tune that it may name"),
        ("prompt", {}, "pack_id", 260, "is no pack that it may name"),
        ("prompt", {}, "base_pack_id", 5_009, "is no pack that it may name"),
        ("prompt", {}, "workspace_id", 9, "is no workspace that it may name"),
        ("prompt", {}, "order_id", 9, "is no order that it may name"),
        ("tune", {}, "root_base_id", 5_000_001, "is no tune that it may name"),
        ("tune", {"state": "queued"}, "base_tune_id", 5_999_999, "is not earlier than the tune"),
        ("prompt", {}, "image_keys", ["x" * 28], "is no key of these files"),
        ("prompt", {}, "files", {"input_image": "x" * 28}, None),
        ("tune", {}, "ckpt_key", "x" * 28, "is no key of these files"),
        ("tune", {}, "image_names", ["a", "b", "c"], "has not one name for each of image_keys"),
    ],
)
def test_value_that_no_request_could_lead_to_is_refused(
    api: Api, source: dict[str, bytes], document: Any,
    table: str, row: Any, field: str, value: Any, told: str | None,
) -> None:  # fmt: skip
    rows = document["tables"][table]
    place = next(n for n, of in enumerate(rows) if of["data"] | row == of["data"])
    path = ("tables", table, place, "data", field)
    answer = imported(api, packed(source, changed(document, path, value)))
    assert answer.status_code == 422
    if told:
        [text, *_] = answer.json[f"tables.{table}[{place}].data.{field}"]
        assert text.startswith(told)


@pytest.mark.parametrize("table", ["tune", "prompt", "pack", "run", "user"])
def test_row_that_could_not_be_found_is_refused(
    api: Api, source: dict[str, bytes], document: Any, table: str
) -> None:
    answer = imported(api, packed(source, changed(document, ("tables", table, 0, "refs"), [])))
    assert answer.status_code == 422
    assert answer.json.keys() == {f"tables.{table}[0].refs"}


@pytest.mark.parametrize("more", [690_204, 5_000_099, "pack:260"])
def test_prompt_that_is_found_by_what_it_does_not_name_is_refused(
    api: Api, source: dict[str, bytes], document: Any, more: int | str
) -> None:
    rows = document["tables"]["prompt"]
    at = next(n for n, row in enumerate(rows) if 690_204 not in row["refs"])
    path = ("tables", "prompt", at, "refs")
    answer = imported(api, packed(source, changed(document, path, [*rows[at]["refs"], more])))
    assert answer.status_code == 422
    assert answer.json.keys() == {f"tables.prompt[{at}].refs"}


def test_object_of_an_account_that_is_not_there_is_refused(
    api: Api, source: dict[str, bytes], document: Any
) -> None:
    answer = imported(api, packed(source, changed(document, ("tables", "pack", 0, "owner"), 9)))
    assert answer.json["tables.pack[0].owner"] == ["is no account's id"]


def test_work_that_does_not_go_with_its_object_is_refused(
    api: Api, source: dict[str, bytes], document: Any
) -> None:
    at = next(n for n, job in enumerate(document["jobs"]) if job["kind"] == "generate_prompt")
    answer = imported(api, packed(source, changed(document, ("jobs", at, "kind"), "start_prompt")))
    told = "is not queued, as a prompt is until start_prompt"
    assert answer.json == {f"jobs[{at}].target": [told]}


def test_branches_are_those_of_the_gallery(document: Any) -> None:
    assert set(shapes().spec.schema("BaseBranch")["enum"]) == set(load_gallery().default_base)


# -- random histories ------------------------------------------------------------------------------
def any_of(api: Api, path: str, number: int) -> int:
    rows = api.get(f"{path}?limit=120")
    return int(rows[number % len(rows)]["id"]) if rows else 690204


ACTIONS: dict[str, Callable[[Api, int], Any]] = {
    "tune": lambda api, n: api.call("POST", "/tunes", json={"tune": {
        "title": f"t{n}", "name": "man", "image_urls": ["http://a.test/1"],
        "branch": [None, "fast", "flux1"][n % 3], "model_type": [None, "lora", "faceid"][n % 3],
        "base_tune_id": any_of(api, "/tunes", n) if n % 5 == 4 else None}}),
    "prompt": lambda api, n: api.call(
        "POST", f"/tunes/{any_of(api, '/tunes', n)}/prompts",
        json={"prompt": {"text": "x --video_model y" if n % 7 == 6 else "{{a}}", **SMALL,
                         "callback": CALLBACK if n % 2 else None}}),
    "video": lambda api, n: api.call("POST", "/tunes/3618064/prompts",
                                     json={"prompt": {"text": "x", **VIDEO}}),
    "copy": lambda api, n: api.call("POST", f"/prompts/{any_of(api, '/prompts', n)}/duplicate"),
    "like": lambda api, n: api.call("POST", f"/prompts/{any_of(api, '/prompts', n)}/likes"),
    "pack": lambda api, n: api.call("POST", "/p/260/tunes", json={"tune": {
        "tune_ids": [any_of(api, "/tunes", n)], "prompts_callback": CALLBACK,
        "prompt_attributes": SMALL}}),
    "template": lambda api, n: api.call("PATCH", f"/prompts/{any_of(api, '/prompts', n)}", json={
        "prompt": {"pack_id": any_of(api, "/packs", n)}}),
    "multi": lambda api, n: api.call("POST", "/p/3100/tunes", json={"tune": {
        "tune_ids": [any_of(api, "/tunes", n)], "prompt_attributes": {"num_images": 1}}}),
    "new pack": lambda api, n: api.call("POST", "/packs", json={"pack": {"title": f"p{n}"}}),
    "title": lambda api, n: api.call("PATCH", f"/tunes/{any_of(api, '/tunes', n)}", json={
        "tune": {"title": f"u{n}"}}),
    "delete": lambda api, n: api.call("DELETE", f"/tunes/{any_of(api, '/tunes', n)}"),
    "delete prompt": lambda api, n: api.call("DELETE", f"/prompts/{any_of(api, '/prompts', n)}"),
    "fail": lambda api, n: api.client.post("/_emulator/faults", json={
        "fault": ["training-fails", "prompt-fails", "callback-reordered"][n % 3], "times": 1}),
    "days": lambda api, n: api.client.post("/_emulator/clock", json={"days": n}),
    "minute": lambda api, n: api.client.post("/_emulator/clock", json={"seconds": 60}),
    "finish": lambda api, n: api.client.post("/_emulator/finish"),
}  # fmt: skip
STEPS = st.tuples(st.sampled_from(sorted(ACTIONS)), st.integers(0, 40))


@settings(SHARED, max_examples=40)
@given(history=st.lists(STEPS, min_size=5, max_size=40))
def test_every_export_is_taken_and_exported_again_the_same(api: Api, history: Any) -> None:
    api.client.post("/_emulator/reset")
    for name, number in history:
        answer = ACTIONS[name](api, number)
        assert answer.status_code < 500, (name, number, answer.text)
    entries = exported(api)
    answer = imported(api, entries)
    assert answer.status_code == 200, answer.text
    assert exported(api) == entries
