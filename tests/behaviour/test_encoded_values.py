"""How values, paths, headers and parts of forms are read."""

import json

import pytest

from tests.behaviour.encoding_pairs import (
    BASE,
    FORM,
    JSON,
    MULTIPART,
    URLS,
    fields,
    multipart,
    sent,
)


# -- values ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize("kind", [JSON, FORM, MULTIPART])
def test_blank_strings_count_as_absent(api, kind, blank):
    extra = dict.fromkeys(
        ("branch", "callback", "token", "base_tune_id", "steps", "model_type"), blank
    )
    tune = {"title": "t", "name": "man", "image_urls": [URLS[0], blank], **extra}
    if kind == JSON:
        answer = api.call("POST", "/tunes", json={"tune": tune})
    else:
        answer = sent(api, "/tunes", kind, fields(tune, "tune"))
    assert answer.status_code == 201, answer.text
    assert (answer.json["branch"], answer.json["token"]) == ("sd15", "sks")
    assert [answer.json[name] for name in ("callback", "base_tune_id", "steps", "model_type")] == [
        None
    ] * 4
    assert len(answer.json["orig_images"]) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("True", True),
        ("1", True),
        ("false", False),
        ("False", False),
        ("0", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("kind", [JSON, FORM, MULTIPART])
def test_booleans_are_read_from_text(api, kind, text, value):
    prompt = {"text": "a", "super_resolution": text}
    if kind == JSON:
        made = api.post("/tunes/690204/prompts", {"prompt": prompt})
    else:
        made = sent(api, "/tunes/690204/prompts", kind, fields(prompt, "prompt")).json
    assert made["super_resolution"] is value


@pytest.mark.parametrize(
    ("attribute", "given", "shown"),
    [
        ("num_images", "2", 2),
        ("num_images", 2.0, 2),
        ("seed", "0042", 42),
        ("cfg_scale", "7", "7.0"),
        ("cfg_scale", "7.25", "7.25"),
        ("denoising_strength", "0.5", 0.5),
        ("text", 12, "12"),
    ],
)
def test_json_values_are_read_as_their_type_where_nothing_is_lost(api, attribute, given, shown):
    body = {"prompt": {"text": "a", attribute: given}}
    assert api.post("/tunes/690204/prompts", body)[attribute] == shown


def test_unknown_attributes_are_ignored(api):
    extra = {
        "face_detection": True, "width": 10, "sampler": "x", "base_tune": {"id": 1},
        "output_quality": [1], "class_name": "x", "pack_id": 7, "status": "done", "id": 1,
    }  # fmt: skip
    tune = api.tune(**extra)
    assert not (extra.keys() - {"id"}) & tune.keys()
    assert tune["id"] != 1
    extra.pop("pack_id")
    prompt = api.prompt(690204, **extra, images=["x"], trained_at="now", liked=True)
    assert (prompt["images"], prompt["trained_at"], prompt["liked"]) == ([], None, False)


def test_text_of_any_script_comes_back_unchanged(api):
    text = 'Zoë 写真 🙂 <b>&amp;\u2028 "quoted" \\ end'
    assert api.prompt(690204, text)["text"] == text
    for kind in (FORM, MULTIPART):
        assert (
            sent(api, "/tunes/690204/prompts", kind, [("prompt[text]", text)]).json["text"] == text
        )


# -- paths and headers -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "path", ["/tunes", "/tunes.json", "/tunes/", "//tunes", "//tunes//", "/tunes.json/"]
)
def test_path_may_end_in_json_or_slashes(api, path):
    at = {"environ_overrides": {"PATH_INFO": path}}  # a client would take //tunes for a host
    made = api.post("/", {"tune": {"title": "t", "name": "man", "image_urls": URLS}}, **at)
    assert [tune["id"] for tune in api.get("/", **at)] == [made["id"]]


def test_path_of_one_object_may_end_in_json_or_slashes(api):
    prompt = api.prompt(690204)["id"]
    for path in ("/prompts/{}.json", "/prompts/{}/", "/tunes/690204//prompts/{}"):
        assert api.get(path.format(prompt))["id"] == prompt
    assert api.call("POST", f"/prompts/{prompt}/likes.json").status_code == 201
    assert api.call("DELETE", f"/prompts/{prompt}.json").status_code == 200


@pytest.mark.parametrize("kind", [JSON, FORM, MULTIPART, "text/plain"])
def test_content_type_without_a_body_does_not_matter_on_get_and_delete(api, kind):
    id = api.tune()["id"]
    headers = {"Content-Type": kind}
    for path in ("/tunes", f"/tunes/{id}", "/users"):
        assert api.call("GET", path, headers=headers).status_code == 200
    assert api.call("DELETE", f"/tunes/{id}", headers=headers).status_code == 200


def test_charset_beside_the_content_type_does_not_matter(api):
    body = json.dumps({"prompt": {"text": "é"}}).encode()
    answer = api.call(
        "POST", "/tunes/690204/prompts", data=body, content_type="Application/JSON; charset=utf-8"
    )
    assert answer.json["text"] == "é"


# -- multipart -------------------------------------------------------------------------------------
def raw_multipart(api, body):
    kind = f"{MULTIPART}; boundary=frontier"
    return api.call("POST", "/tunes/690204/prompts", data=body, content_type=kind)


@pytest.mark.parametrize(
    "disposition",
    ["Content-Disposition: form-data", 'Content-Disposition: form-data; name=""', "X: y"],
)
def test_part_without_a_name_is_a_bad_request(api, disposition):
    answer = raw_multipart(
        api, f"--frontier\r\n{disposition}\r\n\r\nx\r\n--frontier--\r\n".encode()
    )
    assert 400 <= answer.status_code < 500
    assert answer.json["status"] == answer.status_code
    assert api.get("/prompts") == []


@pytest.mark.parametrize("body", [b"", b"nonsense", multipart([("prompt[text]", "a")])[:-8]])
def test_broken_multipart_is_refused(api, body):
    answer = raw_multipart(api, body)
    assert answer.status_code in (400, 422)
    assert api.get("/prompts") == []


def test_multipart_without_a_boundary_is_a_bad_request(api):
    body = multipart([("prompt[text]", "a")])
    answer = api.call("POST", "/tunes/690204/prompts", data=body, content_type=MULTIPART)
    assert answer.status_code == 400


def test_file_input_left_empty_in_a_browser_is_passed_over(api):
    part = (
        b'--frontier\r\nContent-Disposition: form-data; name="prompt[input_image]"; filename=""\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n\r\n"
    )
    answer = raw_multipart(api, part + multipart([("prompt[text]", "a")]))
    assert (answer.status_code, answer.json["input_image"]) == (201, None)


def test_text_where_a_file_belongs_is_refused(api):
    answer = sent(api, "/tunes", MULTIPART, [*BASE, ("tune[images][]", "1.jpg")])
    assert (answer.status_code, answer.json) == (422, {"images": ["is not a file"]})
