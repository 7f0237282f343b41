"""Accounts: the key is the account, and what is another's does not exist."""

import json
import socket
from dataclasses import replace
from io import BytesIO
from urllib.parse import urlsplit

import pytest

from tests import PATIENCE_SECONDS

DENIED = "HTTP Token: Access denied.\n"
MISSING = {"status": 404, "error": "Not Found"}


# -- keys ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/tunes"),
        ("POST", "/tunes"),
        ("GET", "/tunes/1"),
        ("GET", "/prompts"),
        ("POST", "/prompts"),
        ("POST", "/prompts/1/likes"),
        ("POST", "/prompts/1/duplicate"),
        ("GET", "/packs"),
        ("GET", "/p/260"),
        ("POST", "/p/260/tunes"),
        ("POST", "/themes"),
        ("POST", "/images/inspect"),
        ("GET", "/users"),
        ("GET", "/workspaces"),
        ("GET", "/gallery/tunes"),
    ],
)
def test_request_without_a_key_is_denied_in_plain_text(api, method, path):
    answer = api.client.open(path, method=method)
    assert (answer.status_code, answer.text) == (401, DENIED)
    assert answer.content_type.startswith("text/plain")
    assert answer.headers["WWW-Authenticate"] == 'Token realm="Application"'


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer nonsense", "sd_test", "Basic sd_test", "Bearer sd"]
)
def test_wrong_key_is_denied(api, header):
    answer = api.client.get("/tunes", headers={"Authorization": header})
    assert (answer.status_code, answer.text) == (401, DENIED)


def test_denial_comes_before_everything_else(api):
    answer = api.client.post("/tunes/99/prompts", data="{", content_type="application/json")
    assert answer.status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Token", "BEARER"])
def test_scheme_of_the_header_may_be_written_in_any_case(api, scheme):
    answer = api.client.get("/tunes", headers={"Authorization": f"{scheme} sd_test"})
    assert answer.status_code == 200


def test_lower_case_header_is_read(make_app, serve):
    place = urlsplit(serve(make_app()))
    request = b"GET /users HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sd_eden\r\n"
    with socket.create_connection(
        (place.hostname, place.port), timeout=PATIENCE_SECONDS
    ) as connection:
        connection.sendall(request + b"connection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_only_the_configured_keys_are_accounts(make_api):
    api = make_api(keys=("sd_test", "other-key"))
    assert api.get("/tunes") == []
    for key, status in (("other-key", 200), ("sd_stranger", 401)):
        headers = {"Authorization": f"Bearer {key}"}
        assert api.client.get("/tunes", headers=headers).status_code == status


@pytest.mark.parametrize("path", ["/cli/models", "/gallery/packs"])
def test_public_lists_need_no_key(api, path):
    assert api.client.get(path).status_code == 200


# -- the account -----------------------------------------------------------------------------------
def test_user_shows_the_account_and_its_payer(api):
    user = api.get("/users")
    fields = {
        "id", "name", "email", "usd_balance_mc", "auto_extend_tunes", "top_off_amount",
        "purchased_plugin_at", "payer",
    }  # fmt: skip
    assert set(user) == fields
    assert user["payer"] == {
        "id": user["id"],
        "name": user["name"],
        "self": True,
        "usd_balance_mc": user["usd_balance_mc"],
    }
    assert user["usd_balance_mc"] > 0
    assert api.get("/users") == user


def test_each_key_is_an_account_of_its_own(api, other):
    assert api.get("/users")["id"] != other.get("/users")["id"]


# -- tenants ---------------------------------------------------------------------------------------
@pytest.fixture
def theirs(other, photo):
    """One object of every kind that belongs to another account, finished."""
    tune = other.tune(branch="flux1")
    data = {"prompt[text]": "a", "prompt[input_image]": (BytesIO(photo()), "a.jpg")}
    prompt = other.post(f"/tunes/{tune['id']}/prompts", data=data)
    other.finish()
    return {
        "tune": tune["id"],
        "prompt": prompt["id"],
        "pack": other.post("/packs", {"pack": {"title": "Theirs"}})["id"],
        "workspace": other.post("/workspaces", {"workspace": {"title": "Theirs"}})["id"],
    }


IMAGE = ["https://example.com/1.jpg"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/tunes/{tune}", None),
        ("PATCH", "/tunes/{tune}", {"tune": {"title": "mine"}}),
        ("DELETE", "/tunes/{tune}", None),
        ("GET", "/tunes/{tune}/prompts", None),
        ("POST", "/tunes/{tune}/prompts", {"prompt": {"text": "a"}}),
        ("GET", "/tunes/{tune}/prompts/{prompt}", None),
        ("PATCH", "/tunes/{tune}/prompts/{prompt}", {"prompt": {"base_pack_id": 260}}),
        ("DELETE", "/tunes/{tune}/prompts/{prompt}", None),
        ("GET", "/tunes/1504944/prompts/{prompt}", None),
        ("PATCH", "/tunes/1504944/prompts/{prompt}", {"prompt": {"base_pack_id": 260}}),
        ("DELETE", "/tunes/1504944/prompts/{prompt}", None),
        ("GET", "/prompts/{prompt}", None),
        ("PATCH", "/prompts/{prompt}", {"prompt": {"base_pack_id": 260}}),
        ("DELETE", "/prompts/{prompt}", None),
        ("POST", "/prompts/{prompt}/likes", None),
        ("DELETE", "/prompts/{prompt}/likes", None),
        ("POST", "/prompts/{prompt}/duplicate", {}),
        ("GET", "/p/{pack}", None),
        ("GET", "/p/theirs", None),
        ("POST", "/p/{pack}/tunes", {"tune": {"title": "a", "name": "b", "image_urls": IMAGE}}),
        ("GET", "/workspaces/{workspace}", None),
        ("PATCH", "/workspaces/{workspace}", {"workspace": {"title": "mine"}}),
    ],
)
def test_object_of_another_account_does_not_exist(api, other, theirs, method, path, body):
    before = [other.get(path.format(**theirs)) for path in READABLE]
    answer = api.call(method, path.format(**theirs), json=body)
    assert (answer.status_code, answer.json) == (404, MISSING)
    assert [other.get(path.format(**theirs)) for path in READABLE] == before


READABLE = ("/tunes/{tune}", "/prompts/{prompt}", "/p/{pack}", "/workspaces/{workspace}", "/tunes")


def test_lists_show_nothing_of_another_account(api, theirs):
    for path in (
        "/tunes",
        "/prompts",
        "/packs",
        "/workspaces",
        "/tunes/1504944/prompts",
        f"/prompts?tune_id={theirs['tune']}",
        f"/prompts?pack_id={theirs['pack']}",
    ):
        assert api.get(path, headers={"X-Workspace-Id": "all"}) == []
    assert theirs["tune"] not in [tune["id"] for tune in api.get("/gallery/tunes")]


@pytest.mark.parametrize(
    ("path", "body", "messages"),
    [
        (
            "/prompts",
            {"prompt": {"text": "a", "tune_id": "tune"}},
            {"tune": ["must exist"]},
        ),
        ("/themes", {"theme": {"theme": "a", "tune_ids": ["tune"]}}, {"tune_ids": ["must exist"]}),
        ("/p/260/tunes", {"tune": {"tune_ids": ["tune"]}}, {"tune_ids": ["must exist"]}),
        (
            "/tunes/690204/prompts",
            {"prompt": {"text": "a", "base_pack_id": "pack"}},
            {"base_pack_id": ["must exist"]},
        ),
        (
            "/tunes/690204/prompts",
            {"prompt": {"text": "a", "pack_id": "pack"}},
            {"base": ["Prompt is not using a fine-tuned model"], "pack_id": ["must exist"]},
        ),
        (
            "/packs",
            {"pack": {"title": "a", "base_tune_id": "tune"}},
            {"base_tune_id": ["must exist"]},
        ),
    ],
)
def test_reference_to_another_accounts_object_is_refused(api, theirs, path, body, messages):
    text = json.dumps(body)
    for name in ("tune", "pack"):
        text = text.replace(f'"{name}"]', f"{theirs[name]}]").replace(
            f': "{name}"', f": {theirs[name]}"
        )
    answer = api.call("POST", path, data=text, content_type="application/json")
    assert (answer.status_code, answer.json) == (422, messages)
    assert api.get("/prompts") == []


def test_like_cannot_reach_another_accounts_prompt_through_a_forged_original(api, other, theirs):
    prompt = api.prompt(690204)
    change = {"prompt": {"orig_prompt_id": theirs["prompt"]}}
    api.call("PATCH", f"/prompts/{prompt['id']}", json=change)
    api.call("POST", f"/prompts/{prompt['id']}/likes")
    assert other.get(f"/prompts/{theirs['prompt']}")["prompt_likes_count"] == 0


def test_accounts_may_use_the_same_titles_without_meeting(make_api):
    api = make_api(idempotency=True)
    other = replace(api, key="sd_other")
    assert api.tune()["id"] != other.tune()["id"]
    assert len(other.get("/tunes")) == 1
