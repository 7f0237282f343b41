"""Export and import: the other server answers as the first one did, and goes on from there."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from astria_emulator.control.row_checks import ROWS, fields_of, times_of
from astria_emulator.spec.openapi import JSON
from astria_emulator.spec.schemas import Compiler
from tests.behaviour.state_transfer import SMALL, document, exported, imported, restored

NESTED = [{"text": "a {{eye_color}}", "num_images": 2}, {"text": "b", "w": 128, "h": 64}]


def live(api: Any, photo: Callable[..., bytes], callback: str) -> None:
    """Objects of every kind, and all that is kept with them."""
    data = {
        "tune[title]": "Jäne",
        "tune[name]": "woman",
        "tune[branch]": "fast",
        "tune[callback]": f"{callback}/tune",
        "tune[images][]": [(io.BytesIO(photo("red")), "1.jpg"), (io.BytesIO(b"a dog"), "1.txt")],
        "tune[characteristics]": '{"eye_color": "blue eyes"}',
        "tune[prompts_attributes]": json.dumps(NESTED),
    }
    assert api.call("POST", "/tunes", data=data).status_code == 201
    lora = api.tune(title="L", branch="flux1", auto_extend=True)
    api.finish()
    api.prompt(lora["id"], callback=f"{callback}/prompt", **SMALL)
    upload = {"prompt[text]": "c", "prompt[input_image]": (io.BytesIO(photo("teal")), "a.jpg")}
    assert api.call("POST", "/tunes/690204/prompts", data=upload).status_code == 201
    run = {"tune_ids": [lora["id"]], "prompts_callback": f"{callback}/run"}
    api.post("/p/260/tunes", {"tune": {**run, "prompt_attributes": SMALL}})
    video = {"text": "d", "video_model": "seedance2_fast_720p", "video_prompt": "waves"}
    api.post("/tunes/3618064/prompts", {"prompt": {**video, "num_images": 1}})
    api.post("/workspaces", {"workspace": {"title": "W"}})
    api.post("/packs", {"pack": {"title": "P"}})
    api.finish()
    assert api.call("POST", f"/prompts/{api.get('/prompts')[0]['id']}/likes").status_code < 300


def seen(api: Any) -> dict[str, bytes]:
    """Every answer to a GET, and every file that they name."""
    paths = ["/tunes", "/prompts?limit=120", "/packs", "/workspaces", "/users", "/gallery/tunes"]
    paths += ["/p/260", "/_emulator/callbacks"]
    paths += [f"/tunes/{tune['id']}" for tune in api.get("/tunes")]
    prompts = api.get("/prompts?limit=120")
    paths += [f"/tunes/{prompt['tune_id']}/prompts/{prompt['id']}" for prompt in prompts]
    urls = [url for prompt in prompts for url in (*prompt["images"], prompt["input_image"])]
    for tune in api.get("/tunes"):
        urls += [*tune["orig_images"], *tune["ckpt_urls"]]
    found = {}
    for path in (*paths, *filter(None, urls)):
        with api.call("GET", path) as answer:
            assert answer.status_code == 200, path
            found[path] = answer.data
    return found


def goes_on(api: Any) -> list[Any]:
    """What comes of the same requests."""
    tune = api.tune(title="After", prompts_attributes=[{"text": "e", **SMALL}])
    prompt = api.prompt(tune["id"], **SMALL)
    more = [
        api.post("/workspaces", {"workspace": {"title": "W2"}}),
        api.post("/packs", {"pack": {"title": "P2"}}),
    ]
    api.finish()
    ended = api.get(f"/prompts/{prompt['id']}")
    with api.call("GET", ended["images"][0]) as picture:
        return [tune, prompt, *more, ended, picture.data, api.get("/prompts")]


# -- what comes over -------------------------------------------------------------------------------
def test_other_server_answers_as_this_one_and_goes_on_alike(api, make_api, photo, receiver) -> None:
    live(api, photo, receiver.url)
    archive, before = exported(api), seen(api)
    archive = exported(api)  # the looking has moved the clock
    other = make_api()
    other.tune(title="forgotten")
    counts = restored(other, archive)
    assert counts["objects"] == {"tune": 2, "prompt": 7, "pack": 1, "workspace": 1}
    assert seen(other) == before
    restored(other, archive)
    assert goes_on(other) == goes_on(api)


def test_export_of_the_import_is_the_same(api, make_api, photo, receiver) -> None:
    live(api, photo, receiver.url)
    archive, other = exported(api), make_api()
    restored(other, archive)
    assert exported(other) == archive


def asked(compiler: Compiler, table: str) -> frozenset[str]:
    """What a request may say of an object, which its row then has."""
    for operation in compiler.spec.operations:
        if operation.id.startswith("create_") and operation.wrapper == table:
            assert operation.request_body
            body = compiler.spec.resolve(operation.request_body["content"][JSON]["schema"])
            return compiler.property_names(body["properties"][table])
    return frozenset()


def test_row_has_no_field_that_is_not_described(api, photo, receiver) -> None:
    live(api, photo, receiver.url)
    contract = api.client.application.services.contract
    tables = document(exported(api))["tables"]
    assert tables.keys() >= {"tune", "prompt", "pack", "workspace", "user", "delivery"}
    for table, rows in tables.items():
        known = fields_of(ROWS[table]).keys() | asked(contract, table)
        for row in rows:
            assert row["data"].keys() | row["times"].keys() <= known
            assert row["times"].keys() <= times_of(table)


def test_everything_of_before_is_forgotten(api, make_api) -> None:
    archive = exported(make_api(train_seconds=1))
    tune = api.tune()
    restored(api, archive)
    assert api.get("/tunes") == []
    assert api.client.get(tune["orig_images"][0]).status_code == 404
    assert api.tune()["id"] == tune["id"]
    assert api.client.get("/_emulator/jobs").json != []


def test_what_was_switched_comes_over(api, make_api) -> None:
    api.client.patch("/_emulator/settings", json={"idempotency": True})
    archive, other = exported(api), make_api()
    restored(other, archive)
    assert other.client.get("/_emulator/settings").json == {"idempotency": True}
    assert other.tune()["id"] == other.tune()["id"]


def test_setting_that_was_not_switched_is_the_servers_own(make_api) -> None:
    archive = exported(make_api(clock="2026-01-01T00:00:00Z"))
    other = make_api(idempotency=True)
    other.client.patch("/_emulator/settings", json={"idempotency": False})
    restored(other, archive)
    assert other.client.get("/_emulator/settings").json == {"idempotency": True}


def test_addresses_begin_with_the_host_that_the_import_was_sent_to(api, make_api) -> None:
    tune = api.tune()
    assert imported(api, exported(api), headers={"Host": "127.0.0.1:9000"}).status_code == 200
    shown = api.get(f"/tunes/{tune['id']}")
    assert shown["url"] == f"http://127.0.0.1:9000/tunes/{tune['id']}.json"
    assert shown["orig_images"][0].startswith("http://127.0.0.1:9000/")


def test_keys_are_in_it_as_hashes_only(make_api) -> None:
    api = replace(make_api(), key="sd_very_secret")
    api.tune()
    with zipfile.ZipFile(io.BytesIO(exported(api))) as archive:
        text = archive.read("state.json").decode()
    assert "very_secret" not in text
    assert '"key:' in text


def test_file_is_offered_for_keeping(api) -> None:
    headers = api.client.get("/_emulator/state").headers
    assert headers["Content-Disposition"] == 'attachment; filename="state.zip"'


# -- time ------------------------------------------------------------------------------------------
def test_virtual_clock_is_set_to_the_time_of_the_export_also_back(api) -> None:
    archive = exported(api)
    now = api.client.get("/_emulator/clock").json["now"]
    api.client.post("/_emulator/clock", json={"days": 400})
    restored(api, archive)
    assert api.client.get("/_emulator/clock").json["now"] == now
    assert document(archive)["clock"] == "2026-01-01T00:00:00Z"


def test_tune_expires_after_the_import_as_it_would_have(api, make_api) -> None:
    tune = api.tune()
    api.finish()
    archive, other = exported(api), make_api()
    restored(other, archive)
    other.client.post("/_emulator/clock", json={"days": 31})
    state = other.client.get(f"/_emulator/tunes/{tune['id']}").json["state"]
    assert (state, other.get(f"/tunes/{tune['id']}")["orig_images"]) == ("expired", [])


def test_state_of_a_system_clock_leaves_a_virtual_one(api, make_api) -> None:
    archive = exported(make_api(clock=""))
    assert document(archive)["clock"] is None
    api.client.post("/_emulator/clock", json={"days": 4})
    restored(api, archive)
    assert api.client.get("/_emulator/clock").json["now"] == "2026-01-05T00:00:00.000Z"


def test_state_of_a_virtual_clock_goes_on_by_the_system_clock(api, make_api, receiver) -> None:
    tune = api.tune(callback=receiver.url)
    archive, other = exported(api), make_api(clock="")
    api.client.post("/_emulator/reset")
    restored(other, archive)
    other.finish()
    assert other.get(f"/tunes/{tune['id']}")["trained_at"]
    assert len(receiver.received) == 1
