"""The emulator's own surface: what it tells, what it moves, whom it refuses."""

import pytest


# -- health, info, pages ---------------------------------------------------------------------------
def test_health_is_ok(api):
    assert api.client.get("/_emulator/health").json == {"status": "ok"}


def test_info_tells_version_capabilities_settings_and_assumptions(make_api):
    api = make_api(seed=4, idempotency=True, assume=("delete-status=204",))
    info = api.client.get("/_emulator/info").json
    assert info["name"] == "astria-emulator"
    assert info["version"]
    assert info["contract"] == "2026-08-21"
    assert info["capabilities"]["clock"] == "virtual"
    assert info["capabilities"]["seed"] == 4
    assert info["capabilities"]["real_training"] is False
    assert info["capabilities"]["backends"] == dict.fromkeys(
        ("fast", "flux1", "sd15", "sdxl1"), "mock"
    )
    assert info["settings"] == {"idempotency": True}
    assert info["assumptions"]["delete-status"] == "204"
    assert info["assumptions"]["cfg-scale"] == "string"


def test_root_redirects_to_the_documentation(api):
    answer = api.client.get("/")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/_emulator/"
    with api.client.get("/_emulator/") as page:
        assert page.content_type.startswith("text/html")


def test_contract_is_served_as_it_is_and_for_the_documentation(api):
    answer = api.client.get("/_emulator/openapi.yaml")
    assert answer.data.startswith(b"openapi: 3.1")
    document = api.client.get("/_emulator/openapi.json").json
    assert document["servers"] == [{"url": "http://localhost"}]
    assert "/tunes" in document["paths"]


def test_control_does_not_move_the_clock(api):
    first = api.client.get("/_emulator/clock").json
    for path in ("info", "health", "settings", "callbacks", "jobs"):
        api.client.get(f"/_emulator/{path}")
    assert api.client.get("/_emulator/clock").json == first
    assert first == {"now": "2026-01-01T00:00:00.000Z", "virtual": True}


# -- reset and finish ------------------------------------------------------------------------------
def test_reset_forgets_all_objects_files_and_callbacks(api, receiver):
    tune = api.tune(callback=receiver.url, prompts_attributes=[{"text": "a"}])
    api.post("/packs", {"pack": {"title": "a"}})
    api.post("/workspaces", {"workspace": {"title": "a"}})
    api.finish()
    assert api.client.post("/_emulator/reset").json == {"status": "ok"}
    for path in ("/tunes", "/prompts", "/packs", "/workspaces"):
        assert api.get(path) == []
    assert api.client.get(tune["orig_images"][0]).status_code == 404
    assert api.client.get("/_emulator/callbacks").json == []
    assert api.client.get("/_emulator/jobs").json == []


def test_reset_keeps_the_gallery_and_the_settings(api):
    api.client.patch("/_emulator/settings", json={"idempotency": True})
    gallery = api.get("/gallery/tunes"), api.get("/p/260")
    api.client.post("/_emulator/reset")
    assert (api.get("/gallery/tunes"), api.get("/p/260")) == gallery
    assert api.client.get(gallery[1]["cover_url"]).status_code == 200
    assert api.client.get("/_emulator/settings").json == {"idempotency": True}


def test_ids_begin_again_after_a_reset(api):
    first = api.tune()["id"]
    api.client.post("/_emulator/reset")
    assert api.tune()["id"] == first


def test_reset_drops_work_that_is_under_way(slow, receiver):
    slow.tune(callback=receiver.url)
    slow.client.post("/_emulator/reset")
    assert slow.client.post("/_emulator/finish").json == {"jobs": 0, "callbacks_ended": True}
    assert receiver.received == []


def test_finish_completes_all_work_and_moves_the_clock_to_its_end(slow):
    slow.tune(prompts_attributes=[{"text": "a"}])
    done = slow.client.post("/_emulator/finish").json
    assert done["jobs"] > 0
    assert done["callbacks_ended"] is True
    assert slow.client.get("/_emulator/clock").json["now"] == "2026-01-01T00:02:00.000Z"
    assert slow.get("/prompts")[0]["images"]
    assert slow.client.post("/_emulator/finish").json["jobs"] == 0


# -- clock -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("span", "now"),
    [
        ({"days": 31}, "2026-02-01T00:00:00.000Z"),
        ({"hours": 1.5}, "2026-01-01T01:30:00.000Z"),
        ({"seconds": 0.25}, "2026-01-01T00:00:00.250Z"),
        ({"days": 1, "hours": 1, "seconds": 1}, "2026-01-02T01:00:01.000Z"),
        ({}, "2026-01-01T00:00:00.000Z"),
        ({"days": "2"}, "2026-01-03T00:00:00.000Z"),
    ],
)
def test_clock_is_advanced(api, span, now):
    answer = api.client.post("/_emulator/clock", json=span)
    assert (answer.status_code, answer.json) == (200, {"now": now, "virtual": True})
    assert api.client.get("/_emulator/clock").json["now"] == now


@pytest.mark.parametrize(
    ("body", "status"),
    [({"days": -1}, 422), ({"days": "x"}, 422), ({"days": 10**9}, 422), ([], 400)],
)
def test_clock_refuses_what_is_no_span(api, body, status):
    assert api.client.post("/_emulator/clock", json=body).status_code == status
    assert api.client.get("/_emulator/clock").json["now"] == "2026-01-01T00:00:00.000Z"


def test_clock_refuses_a_span_beyond_the_calendar(api):
    for _ in range(100):
        answer = api.client.post("/_emulator/clock", json={"days": 36500})
        if answer.status_code != 200:
            break
    assert (answer.status_code, list(answer.json)) == (422, ["days"])


def test_system_clock_cannot_be_moved(make_api):
    api = make_api(clock="")
    answer = api.client.post("/_emulator/clock", json={"days": 1})
    assert answer.status_code == 409
    assert answer.json["status"] == 409
    assert "--clock" in answer.json["error"]
    assert api.client.get("/_emulator/clock").json["virtual"] is False
    assert api.client.get("/_emulator/info").json["capabilities"]["clock"] == "system"


def test_finish_completes_all_work_on_the_system_clock(make_api):
    api = make_api(clock="", train_seconds=3600, prompt_seconds=3600)
    given = {"title": "t", "name": "man", "image_urls": ["https://example.com/1.jpg"]}
    nested = [{"text": "a", "num_images": 1}]
    # Buffered: work begins when the answer has been read to its end.
    tune = api.post("/tunes", {"tune": {**given, "prompts_attributes": nested}}, buffered=True)
    api.finish()
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]
    assert api.get("/prompts")[0]["images"]


# -- settings --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({}, {"idempotency": ["can't be blank"]}),
        ({"idempotency": "perhaps"}, {"idempotency": ["is not a boolean"]}),
        ({"idempotency": True, "key": "nonsense"}, {"key": ["is not an account's key"]}),
    ],
)
def test_settings_refuse_what_they_do_not_know(api, body, messages):
    answer = api.client.patch("/_emulator/settings", json=body)
    assert (answer.status_code, answer.json) == (422, messages)
    assert api.client.get("/_emulator/settings").json == {"idempotency": False}


# -- who may ---------------------------------------------------------------------------------------
POSTS = ("/_emulator/reset", "/_emulator/finish", "/_emulator/clock")
GETS = ("/_emulator/info", "/_emulator/health", "/_emulator/callbacks", "/_emulator/jobs")


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1"])
def test_name_that_only_pretends_to_be_this_machine_is_refused(api, host):
    tune = api.tune()
    for path in POSTS:
        answer = api.client.post(path, json={}, headers={"Host": host})
        assert (answer.status_code, answer.json["status"]) == (403, 403)
    for path in GETS:
        assert api.client.get(path, headers={"Host": host}).status_code == 403
    assert api.get(f"/tunes/{tune['id']}")["id"] == tune["id"]


@pytest.mark.parametrize("host", ["127.0.0.1:8417", "localhost", "[::1]:8417"])
def test_names_of_this_machine_are_accepted(api, host):
    assert api.client.get("/_emulator/info", headers={"Host": host}).status_code == 200


def test_host_of_the_public_url_is_accepted(make_api):
    api = make_api(public_url="https://emulator.test")
    answer = api.client.get("/_emulator/info", headers={"Host": "emulator.test"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example", 403),
        ("http://localhost:3000", 403),
        ("null", 403),
        ("http://localhost", 200),
    ],
)
def test_page_of_another_site_is_refused(api, origin, status):
    answer = api.client.post("/_emulator/reset", headers={"Origin": origin})
    assert answer.status_code == status


@pytest.mark.parametrize(
    "settings",
    [
        {"control_token": "s3cret"},
        {"control_token": "s3cret", "host": "0.0.0.0", "keys": ("sd_test",)},
    ],
)
def test_control_needs_the_token_when_one_is_configured(make_api, settings):
    api = make_api(**settings)
    for sent in (None, "Bearer wrong", "Bearer sd_test", "s3cre", "Bearer é"):
        headers = {"Authorization": sent} if sent else {}
        for path in POSTS:
            assert api.client.post(path, json={}, headers=headers).status_code == 403
        assert api.client.get("/_emulator/info", headers=headers).status_code == 403
    right = {"Authorization": "Bearer s3cret"}
    assert api.client.get("/_emulator/info", headers=right).status_code == 200
    assert api.client.post("/_emulator/reset", headers=right).status_code == 200


def test_health_needs_no_token(make_api):
    api = make_api(control_token="s3cret")
    assert api.client.get("/_emulator/health").status_code == 200


def test_control_beyond_loopback_without_a_token_is_closed(make_api):
    api = make_api(host="0.0.0.0", keys=("sd_test",))
    assert api.client.post("/_emulator/reset").status_code == 403
    assert api.client.get("/_emulator/health").status_code == 200


def test_api_refuses_a_strange_host_too_unless_keys_are_configured(api, make_api):
    """Otherwise a page that rebinds DNS could use any key that begins with sd_."""
    strange = {"Host": "evil.example"}
    refused = api.call("GET", "/tunes", headers=strange)
    assert (refused.status_code, refused.json["status"]) == (403, 403)
    assert make_api(keys=("sd_test",)).get("/tunes", headers=strange) == []


def test_callback_is_sent_once_more_when_asked(api, receiver):
    api.tune(callback=receiver.url + "/hook?x=1")
    api.finish()
    [first] = api.client.get("/_emulator/callbacks").json
    again = api.client.post(f"/_emulator/callbacks/{first['id']}/redeliver")
    assert (again.status_code, again.json["redelivery_of"]) == (201, first["id"])
    api.finish()
    assert [path for path, _ in receiver.received] == ["/hook?x=1"] * 2
    assert receiver.received[0] == receiver.received[1]
    assert [row["state"] for row in api.client.get("/_emulator/callbacks").json] == [
        "delivered"
    ] * 2


def test_long_body_is_not_kept_once_it_was_sent(api, receiver):
    text = "漢" * 20_000
    api.prompt(690204, text, negative_prompt=text, callback=receiver.url)
    api.finish()
    assert receiver.received[0][1]["prompt"]["text"] == text
    [kept] = api.client.get("/_emulator/callbacks").json
    assert (kept["state"], kept["body"]) == ("delivered", None)
    assert api.client.post(f"/_emulator/callbacks/{kept['id']}/redeliver").status_code == 409


def test_redelivery_of_an_unknown_callback_is_not_found(api):
    assert api.client.post("/_emulator/callbacks/77/redeliver").status_code == 404
    assert api.client.post("/_emulator/callbacks/x/redeliver").status_code == 404


def test_seed_can_be_changed_while_the_server_runs(make_api):
    def history(api):
        """Addresses and bytes of pictures, and what a chance strikes."""
        rule = {"fault": "server-error", "operation": "list_packs", "probability": 0.5}
        api.client.post("/_emulator/faults", json=rule)
        api.prompt(690204, num_images=1)
        api.finish()
        [url] = api.get("/prompts")[0]["images"]
        struck = [api.call("GET", "/packs").status_code for _ in range(20)]
        return url, api.client.get(url).data, struck

    told, changed, other = make_api(seed=7), make_api(seed=1), make_api(seed=1)
    assert changed.client.put("/_emulator/seed", json={"seed": 7}).json == {"seed": 7}
    assert changed.client.get("/_emulator/info").json["capabilities"]["seed"] == 7
    expected = history(told)
    assert history(changed) == expected
    changed.client.post("/_emulator/reset")
    assert changed.client.get("/_emulator/seed").json == {"seed": 7}
    assert all(one != two for one, two in zip(history(other), expected, strict=True))


def test_seed_that_is_no_number_is_refused(api):
    assert api.client.put("/_emulator/seed", json={"seed": "x"}).status_code == 422
    assert api.client.get("/_emulator/seed").json == {"seed": 0}
