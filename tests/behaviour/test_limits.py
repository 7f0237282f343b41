"""What one request can make much of has a limit, and beyond it nothing is stored."""

import json
from io import BytesIO

import pytest

from astria_emulator.api.handlers import workspaces
from astria_emulator.domain.prompt_text import LONGEST_FILLED, MOST_TUNES
from astria_emulator.objects import access, packs
from astria_emulator.request import bodies
from astria_emulator.request.bodies import LONGEST_BOUNDARY, LONGEST_NAME
from astria_emulator.request.calls import MOST_VALUES
from astria_emulator.spec.coercion import MOST_IN_TEXT
from tests.behaviour.state_transfer import SMALL

URLENCODED = "application/x-www-form-urlencoded"
FILLED = f"is too long once it is filled in (maximum is {LONGEST_FILLED} characters)"
MANY_SLOTS = "{{a}}" * 200
LONG = {"a": "v" * 1000}


def refused(api, path, status=422, **sent):
    answer = api.call("POST", path, **sent)
    assert answer.status_code == status, answer.text
    return answer.json


# -- names and values of a body --------------------------------------------------------------------
@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"x" * (LONGEST_NAME + 1): "a"}},
        {"data": {"x" * (LONGEST_NAME + 1): "a", "f": (BytesIO(b""), "f")}},
        {"data": {"f": (BytesIO(b"a"), "x" * (LONGEST_NAME + 1))}},
        {"query_string": {"x" * (LONGEST_NAME + 1): "a"}},
    ],
    ids=["form", "multipart", "file", "query"],
)
def test_long_name_is_a_bad_request(api, sent):
    told = refused(api, "/tunes", 400, **sent)["error"]
    assert told == f"a name in the form has more than {LONGEST_NAME} characters"


def test_long_boundary_is_a_bad_request(api):
    kind = f"multipart/form-data; boundary={'x' * (LONGEST_BOUNDARY + 1)}"
    told = refused(api, "/tunes", 400, data=b"a", content_type=kind)["error"]
    assert told == f"the boundary has more than {LONGEST_BOUNDARY} characters"


def test_form_of_too_many_escapes_is_too_large(api, monkeypatch):
    monkeypatch.setattr(bodies, "MOST_ESCAPES", 10)
    sent = {"content_type": URLENCODED}
    refused(api, "/tunes", 422, data=b"a=" + b"%41" * 10, **sent)
    refused(api, "/tunes", 413, data=b"a=" + b"%41" * 11, **sent)


@pytest.mark.parametrize("line", [b"\r\n", b"\n"])
@pytest.mark.parametrize("count", [1, 2], ids=["one part", "two parts"])
def test_headers_of_parts_that_are_too_long_are_too_large(api, monkeypatch, line, count):
    def form(more: int) -> bytes:
        name = b'Content-Disposition: form-data; name="a"' + line + b"X: "
        long = b"x" * (1000 // count + more - len(name))
        part = b"--x" + line + name + long + line + line + b"value" + line
        return part * count + b"--x--" + line

    monkeypatch.setattr(bodies, "LONGEST_HEADERS", 1000)
    for chunk in (7, 1 << 18):
        monkeypatch.setattr(bodies, "CHUNK", chunk)
        sent = {"content_type": "multipart/form-data; boundary=x"}
        refused(api, "/tunes", 422, data=form(-10), **sent)
        refused(api, "/tunes", 413, data=form(+10), **sent)


@pytest.mark.parametrize(
    "text",
    ["[" + "[]," * MOST_VALUES + "[]]", '{"tune": {' + '"a":1,' * MOST_VALUES + '"a":1}}'],
    ids=["arrays", "names"],
)
def test_json_of_too_many_values_is_too_large(api, text):
    told = refused(api, "/tunes", 413, data=text, content_type="application/json")
    assert told == {"status": 413, "error": "Payload Too Large"}


@pytest.mark.parametrize("kind", ["form", "multipart"])
def test_form_of_too_many_values_is_too_large(api, kind):
    part = "[" * (MOST_VALUES // 2) + "]"
    data = {f"tune[prompts_attributes][][a{at}]": part for at in range(3)}
    data |= {"f": (BytesIO(b"a"), "f")} if kind == "multipart" else {}
    assert refused(api, "/tunes", 413, data=data)["status"] == 413


def test_json_text_in_a_field_that_has_too_many_values_is_not_read(api):
    tune = {"title": "t", "name": "man", "image_urls": ["http://a.test/1"]}
    text = json.dumps({f"{at}": "" for at in range(MOST_IN_TEXT + 1)})
    told = refused(api, "/tunes", json={"tune": {**tune, "characteristics": text}})
    assert told == {"characteristics": ["is not an object"]}


# -- texts -----------------------------------------------------------------------------------------
def test_text_that_is_filled_in_beyond_measure_is_refused(api):
    tune = api.tune(characteristics=LONG)
    told = refused(api, f"/tunes/{tune['id']}/prompts", json={"prompt": {"text": MANY_SLOTS}})
    assert told == {"text": [FILLED]}
    assert api.get("/prompts") == []


def test_nested_text_that_is_filled_in_beyond_measure_is_refused_with_its_tune(api):
    tune = {"title": "t", "name": "man", "image_urls": ["http://a.test/1"], "characteristics": LONG}
    tune["prompts_attributes"] = [{"text": "a"}, {"text": MANY_SLOTS}]
    assert refused(api, "/tunes", json={"tune": tune}) == {"prompts.text": [FILLED]}
    assert api.get("/tunes") == []


def test_template_that_is_filled_in_beyond_measure_is_refused(api, lora):
    pack = api.post("/packs", {"pack": {"title": "P"}})
    text = f"<lora:{lora['id']}:1> {MANY_SLOTS}"
    api.prompt(690204, text, pack_id=pack["id"])
    run = {"tune_ids": [lora["id"]], "characteristics": LONG}
    assert refused(api, f"/p/{pack['slug']}/tunes", json={"tune": run}) == {"text": [FILLED]}


def test_text_just_within_the_measure_is_filled_in(api):
    slots = LONGEST_FILLED // 1000
    tune = api.tune(characteristics=LONG)
    assert api.prompt(tune["id"], "{{a}}" * slots)["text"] == "v" * LONGEST_FILLED
    told = refused(
        api, f"/tunes/{tune['id']}/prompts", json={"prompt": {"text": "{{a}}" * slots + "a"}}
    )
    assert told == {"text": [FILLED]}


def test_text_that_names_too_many_tunes_is_refused(api):
    text = " ".join(f"<lora:{5_000_001 + at}:1>" for at in range(MOST_TUNES + 1))
    told = refused(api, "/tunes/690204/prompts", json={"prompt": {"text": text}})
    assert told == {"text": [f"names too many tunes (maximum is {MOST_TUNES})"]}


# -- workspaces ------------------------------------------------------------------------------------
def test_account_has_only_so_many_workspaces(api, other, monkeypatch):
    monkeypatch.setattr(workspaces, "MOST_WORKSPACES", 2)
    body = {"workspace": {"title": "W"}}
    for _ in range(2):
        api.post("/workspaces", body)
    told = {"base": ["there are 2 workspaces, and no more may be"]}
    assert refused(api, "/workspaces", json=body) == told
    other.post("/workspaces", body)


# -- packs -----------------------------------------------------------------------------------------
@pytest.fixture
def pack(api, lora):
    """A pack with two templates."""
    made = api.post("/packs", {"pack": {"title": "P"}})
    for text in ("a", "b"):
        api.prompt(690204, f"<lora:{lora['id']}:1> {text}", pack_id=made["id"], **SMALL)
    return made


def test_pack_takes_only_so_many_templates(api, lora, pack, monkeypatch):
    monkeypatch.setattr(access, "MOST_TEMPLATES", 3)
    body = {"text": f"<lora:{lora['id']}:1> c", "pack_id": pack["id"]}
    third = api.prompt(690204, **body)
    told = {"pack_id": ["has 3 templates, and takes no more"]}
    assert refused(api, "/tunes/690204/prompts", json={"prompt": body}) == told
    other = api.prompt(690204, f"<lora:{lora['id']}:1>")
    change = {"prompt": {"pack_id": pack["id"]}}
    answer = api.call("PATCH", f"/prompts/{other['id']}", json=change)
    assert (answer.status_code, answer.json) == (422, told)
    api.call("DELETE", f"/prompts/{third['id']}")
    assert api.call("PATCH", f"/prompts/{other['id']}", json=change).status_code == 200


def test_run_makes_only_so_many_prompts(api, lora, pack, monkeypatch):
    monkeypatch.setattr(packs, "MOST_PROMPTS", 5)
    path, before = f"/p/{pack['slug']}/tunes", len(api.get("/prompts"))
    api.post(path, {"tune": {"tune_ids": [lora["id"]] * 2}})
    told = refused(api, path, json={"tune": {"tune_ids": [lora["id"]] * 3}})
    assert told == {"tune_ids": ["would make more than 5 prompts"]}
    assert len(api.get("/prompts")) == before + 4


def test_run_copies_only_so_many_bytes(make_api, photo):
    api = make_api(max_body_mb=1)
    made = api.post("/packs", {"pack": {"title": "P"}})
    face = api.tune(model_type="faceid", branch="sd15")
    data = {"prompt[text]": f"a <faceid:{face['id']}:1>", "prompt[pack_id]": made["id"]}
    data["prompt[input_image]"] = (BytesIO(photo() + bytes(400_000)), "a.jpg")
    assert api.call("POST", "/tunes/690204/prompts", data=data).status_code == 201
    path = f"/p/{made['slug']}/tunes"
    api.post(path, {"tune": {"tune_ids": [face["id"]] * 2}})
    told = refused(api, path, json={"tune": {"tune_ids": [face["id"]] * 3}})
    assert told == {"tune_ids": ["would copy more bytes of files than a request may have"]}


# -- what is answered where it blocks others -------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "is_quick"),
    [
        ("/tunes", True),
        ("/tunes/5000001/prompts", True),
        ("/prompts/45000001", True),
        ("/p/260", True),
        ("/p/260/tunes", False),
        ("//p//260//tunes.json", False),
        ("/themes", False),
        ("/tunes/5000001", True),
        ("/prompts/45000001/duplicate", False),
        ("/_emulator/state", False),
    ],
)
def test_request_that_may_make_much_is_not_answered_where_all_are_read(make_app, path, is_quick):
    assert make_app(clock="").is_quick(path, None, 0) is is_quick


def test_change_of_a_tune_is_not_answered_where_all_are_read(make_app):
    assert not make_app(clock="").is_quick("/tunes/5000001.json", "application/json", 20)


# -- the control surface ---------------------------------------------------------------------------
def test_list_of_jobs_has_a_limit(api):
    for title in "abc":
        api.tune(title=title)
    api.finish()
    listed = api.client.get("/_emulator/jobs").json
    assert len(listed) == 3
    assert api.client.get("/_emulator/jobs?limit=2").json == listed[:2]
    assert api.client.get("/_emulator/jobs?limit=5000").json == listed
    assert api.client.get("/_emulator/jobs?limit=0").status_code == 400


def test_storage_is_extended_by_centuries_in_one_step(api, monkeypatch):
    tune = api.tune(auto_extend=True)
    api.finish()
    done = []
    runner = api.client.application.services.runner
    run = runner._run
    monkeypatch.setattr(runner, "_run", lambda job, now: (done.append(job.kind), run(job, now)))
    assert api.client.post("/_emulator/clock", json={"days": 36500}).status_code == 200
    assert done == ["expire_tune"]
    now = api.client.get("/_emulator/clock").json["now"]
    assert api.get(f"/tunes/{tune['id']}")["expires_at"] > now
