"""Workspaces: places within an account, and X-Workspace-Id."""

import pytest


def scoped(api, method, path, scope, **kwargs):
    headers = {} if scope is None else {"X-Workspace-Id": str(scope)}
    return api.call(method, path, headers=headers, **kwargs)


def make(api, title="Studio"):
    return api.post("/workspaces", {"workspace": {"title": title}})


def test_workspace_is_created_read_changed_and_listed(api):
    made = api.post("/workspaces.json", {"workspace": {"title": "Photo Studio", "brief": "calm"}})
    assert made["title"] == "Photo Studio"
    assert made["slug"] == "photo-studio"
    assert (made["favicon_url"], made["brief"]) == (None, "calm")
    assert api.get(f"/workspaces/{made['id']}.json") == made
    change = {"workspace": {"landing_page_html": "<p>hello</p>"}}
    changed = api.call("PATCH", f"/workspaces/{made['id']}.json", json=change)
    assert changed.status_code == 200
    assert changed.json["landing_page_html"] == "<p>hello</p>"
    assert changed.json["title"] == "Photo Studio"
    assert api.get("/workspaces.json") == [changed.json]


def test_workspaces_are_listed_newest_first(api):
    ids = [make(api, title)["id"] for title in ("a", "b")]
    assert [found["id"] for found in api.get("/workspaces")] == ids[::-1]


def test_workspace_without_a_title_is_refused(api):
    for body in ({}, {"workspace": {}}, {"workspace": {"title": " "}}):
        answer = api.call("POST", "/workspaces", json=body)
        assert (answer.status_code, answer.json) == (422, {"title": ["can't be blank"]})


def things(api, scope):
    """Titles of the tunes, texts of the prompts and titles of the packs that a scope shows."""
    return [
        [thing[name] for thing in scoped(api, "GET", path, scope).json]
        for path, name in (("/tunes", "title"), ("/prompts", "text"), ("/packs", "title"))
    ]


@pytest.fixture
def placed(api):
    """One tune, prompt and pack in no workspace, in A and in B; the ids of A and B."""
    a, b = make(api, "A")["id"], make(api, "B")["id"]
    for scope, name in ((None, "none"), (a, "in A"), (b, "in B")):
        image = ["https://example.com/1.jpg"]
        tune = {"title": name, "name": "man", "branch": "fast", "image_urls": image}
        bodies = [
            ("/tunes", {"tune": tune}),
            ("/tunes/690204/prompts", {"prompt": {"text": name}}),
            ("/packs", {"pack": {"title": name}}),
        ]
        for path, body in bodies:
            assert scoped(api, "POST", path, scope, json=body).status_code == 201
    return a, b


def test_scope_shows_what_was_made_in_it(api, placed):
    a, b = placed
    assert things(api, None) == [["none"]] * 3
    assert things(api, "personal") == [["none"]] * 3
    assert things(api, a) == [["in A"]] * 3
    assert things(api, b) == [["in B"]] * 3
    assert things(api, "all") == [["in B", "in A", "none"]] * 3


def test_object_can_be_read_from_every_scope(api, placed):
    a, _ = placed
    [tune] = scoped(api, "GET", "/tunes", a).json
    [prompt] = scoped(api, "GET", "/prompts", a).json
    assert prompt["workspace_id"] == a
    for path in (f"/tunes/{tune['id']}", f"/prompts/{prompt['id']}"):
        assert api.get(path)["id"] in (tune["id"], prompt["id"])


def test_nested_and_pack_prompts_are_in_their_tunes_scope(api):
    place = make(api)["id"]
    images = ["https://example.com/1.jpg"]
    tune = {"title": "t", "name": "woman", "image_urls": images}
    nested = {"tune": {**tune, "prompts_attributes": [{"text": "nested"}]}}
    assert scoped(api, "POST", "/tunes", place, json=nested).status_code == 201
    assert scoped(api, "POST", "/p/260/tunes", place, json={"tune": tune}).status_code == 201
    assert len(scoped(api, "GET", "/prompts", place).json) == 3
    assert api.get("/prompts") == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/tunes"), ("GET", "/prompts"), ("GET", "/packs"), ("POST", "/tunes/690204/prompts")],
)
def test_unknown_workspace_is_not_found(api, method, path):
    for scope in (99, 10**17):
        answer = scoped(api, method, path, scope, json={"prompt": {"text": "a"}})
        assert (answer.status_code, answer.json) == (404, {"status": 404, "error": "Not Found"})
    assert api.get("/prompts") == []


@pytest.mark.parametrize("scope", [0, "nowhere", "-1", "1.5", "99999999999999999999"])
def test_workspace_that_is_no_number_is_refused(api, scope):
    for path in ("/tunes", "/prompts", "/packs"):
        assert scoped(api, "GET", path, scope).status_code == 400


def test_workspace_of_another_account_is_not_found(api, other):
    place = make(other)["id"]
    assert scoped(api, "GET", "/tunes", place).status_code == 404
    body = {"prompt": {"text": "a", "workspace_id": place}}
    answer = api.call("POST", "/tunes/690204/prompts", json=body)
    assert (answer.status_code, answer.json) == (422, {"workspace_id": ["must exist"]})


def test_prompts_own_workspace_wins_over_the_header(api):
    a, b = make(api)["id"], make(api)["id"]
    body = {"prompt": {"text": "a", "workspace_id": b}}
    assert scoped(api, "POST", "/tunes/690204/prompts", a, json=body).json["workspace_id"] == b


def test_patch_moves_a_prompt_between_scopes(api):
    place = make(api)["id"]
    prompt = api.prompt(690204)
    api.call("PATCH", f"/prompts/{prompt['id']}", json={"prompt": {"workspace_id": place}})
    assert api.get("/prompts") == []
    [moved] = scoped(api, "GET", "/prompts", place).json
    assert moved["id"] == prompt["id"]
