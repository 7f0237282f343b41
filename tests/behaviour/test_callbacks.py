"""Callbacks: what is sent, when, in which order, and that it is sent once."""

import pytest

TUNE = {
    "id", "title", "name", "steps", "trained_at", "started_training_at", "expires_at",
    "created_at", "updated_at",
}  # fmt: skip
PROMPT = {
    "id", "text", "negative_prompt", "steps", "tune_id", "trained_at", "started_training_at",
    "created_at", "updated_at", "images",
}  # fmt: skip
WOMAN = {"title": "Jane", "name": "woman", "image_urls": ["https://example.com/1.jpg"]}


def log(api):
    return api.client.get("/_emulator/callbacks").json


def test_tune_callback_is_wrapped_and_has_nine_fields(api, receiver):
    tune = api.tune(callback=f"{receiver.url}/tune", steps=300)
    api.finish()
    [(_, body)] = receiver.received
    assert set(body) == {"tune"}
    assert set(body["tune"]) == TUNE
    shown = api.get(f"/tunes/{tune['id']}")
    assert body["tune"] == {key: shown[key] for key in TUNE}
    assert body["tune"]["trained_at"]


def test_prompt_callback_is_wrapped_and_has_ten_fields(api, lora, receiver):
    prompt = api.prompt(lora["id"], "a", num_images=2, callback=f"{receiver.url}/prompt")
    api.finish()
    [(_, body)] = receiver.received
    assert set(body) == {"prompt"}
    assert set(body["prompt"]) == PROMPT
    shown = api.get(f"/prompts/{prompt['id']}")
    assert body["prompt"] == {key: shown[key] for key in PROMPT}
    assert body["prompt"]["tune_id"] == 1504944
    assert (len(body["prompt"]["images"]), body["prompt"]["negative_prompt"]) == (2, "")


def test_pictures_can_be_fetched_when_the_callback_has_come(api, receiver):
    api.prompt(690204, num_images=1, callback=receiver.url)
    api.finish()
    [url] = receiver.received[0][1]["prompt"]["images"]
    assert api.client.get(url).status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/hook?user_id=1&tune_id={TUNE_ID}",
        "/a%20b/%7Bx%7D?q=a%20b+c&empty=&secret=%2F%3D",
        "/?next=http://127.0.0.1/?x=1",
        "/hook?a=1&a=2&b[]=3",
    ],
)
def test_path_and_query_arrive_as_they_were_given(api, receiver, target):
    api.tune(callback=receiver.url + target)
    api.prompt(690204, callback=receiver.url + target)
    api.finish()
    assert [path for path, _ in receiver.received] == [target] * 2


def test_callback_is_plain_json_without_a_secret(api, receiver):
    api.tune(callback=receiver.url, title="Zoë")
    api.finish()
    [headers] = receiver.headers
    names = {name.lower() for name in headers}
    assert headers["Content-Type"] == "application/json"
    assert not {"authorization", "x-signature", "cookie"} & names
    assert receiver.received[0][1]["tune"]["title"] == "Zoë"


def test_tune_is_told_before_its_prompts_and_each_once(api, receiver):
    nested = [{"text": f"{at}", "callback": f"{receiver.url}/prompt"} for at in range(3)]
    api.tune(callback=f"{receiver.url}/tune", prompts_attributes=nested)
    api.finish()
    api.finish()
    assert [path for path, _ in receiver.received] == ["/tune"] + ["/prompt"] * 3
    assert len({body["prompt"]["id"] for path, body in receiver.received[1:]}) == 3


def test_tune_is_told_before_prompts_on_the_base_that_waited_for_it(slow, receiver):
    tune = slow.tune(branch="flux1", callback=f"{receiver.url}/tune")
    slow.prompt(1504944, f"<lora:{tune['id']}:1> a", callback=f"{receiver.url}/prompt")
    slow.finish()
    assert [path for path, _ in receiver.received] == ["/tune", "/prompt"]


def test_nothing_is_told_before_the_object_is_final(slow, receiver):
    slow.tune(callback=receiver.url)
    slow.prompt(690204, callback=receiver.url)
    slow.client.post("/_emulator/clock", json={"seconds": 30})
    slow.get("/tunes")
    assert receiver.received == log(slow) == []


@pytest.mark.parametrize("callback", [{}, {"callback": None}, {"callback": ""}])
def test_nothing_is_sent_without_a_callback(api, callback):
    api.tune(**callback, prompts_attributes=[{"text": "a", **callback}])
    api.finish()
    assert log(api) == []


def test_faceid_tune_calls_nobody(api, receiver):
    api.tune(branch="sd15", model_type="faceid", callback=receiver.url)
    api.finish()
    assert receiver.received == log(api) == []


def test_nothing_is_told_after_a_delete(slow, receiver):
    tune = slow.tune(
        callback=receiver.url, prompts_attributes=[{"text": "a", "callback": receiver.url}]
    )
    prompt = slow.prompt(690204, callback=receiver.url)
    slow.call("DELETE", f"/tunes/{tune['id']}")
    slow.call("DELETE", f"/prompts/{prompt['id']}")
    slow.finish()
    slow.client.post("/_emulator/clock", json={"days": 1})
    assert receiver.received == log(slow) == []


@pytest.mark.parametrize("status", [500, 404, 302, 204])
def test_answer_of_the_receiver_changes_nothing_and_nothing_is_sent_again(api, receiver, status):
    receiver.status = status
    tune = api.tune(callback=receiver.url)
    api.finish()
    api.finish()
    api.client.post("/_emulator/clock", json={"days": 1})
    assert len(receiver.received) == 1
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]
    assert [(entry["status"], entry["error"]) for entry in log(api)] == [(status, None)]


def test_failing_tune_callback_does_not_hold_up_the_prompts(api, receiver):
    nested = [{"text": "a", "callback": f"{receiver.url}/prompt"}]
    api.tune(callback="http://127.0.0.1:1/closed", prompts_attributes=nested)
    api.finish()
    assert [path for path, _ in receiver.received] == ["/prompt"]
    assert [entry["state"] for entry in log(api)] == ["delivered", "failed"]


def test_log_shows_every_delivery_newest_first(api, receiver):
    tune = api.tune(callback=f"{receiver.url}/tune?secret=1")
    prompt = api.prompt(tune["id"], "a", callback=f"{receiver.url}/prompt")
    api.finish()
    entries = log(api)
    objects = [(entry["object"], entry["object_id"]) for entry in entries]
    assert objects == [("prompt", prompt["id"]), ("tune", tune["id"])]
    assert [entry["url"] for entry in entries] == [
        f"{receiver.url}/prompt",
        f"{receiver.url}/tune?secret=1",
    ]
    assert [entry["body"] for entry in entries] == [body for _, body in receiver.received[::-1]]
    assert all(entry["state"] == "delivered" and entry["status"] == 200 for entry in entries)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://169.254.169.254/latest", "link-local"),
        ("http://[fe80::1]/x", "link-local"),
        ("http://0.0.0.0/x", "unroutable"),
        ("http://93.184.216.34/x", "--callback-hosts"),
        ("http://[2606:2800:220:1::1]/x", "--callback-hosts"),
    ],
)
def test_callback_to_a_forbidden_address_is_blocked(api, url, reason):
    tune = api.tune(callback=url)
    api.finish()
    [entry] = log(api)
    assert (entry["state"], entry["status"]) == ("failed", None)
    assert entry["error"].startswith("blocked: ")
    assert reason in entry["error"]
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]


# -- packs -----------------------------------------------------------------------------------------
def test_prompts_callback_comes_once_after_all_prompts_as_a_bare_array(api, receiver):
    body = {
        "tune": {
            **WOMAN,
            "callback": f"{receiver.url}/tune",
            "prompt_attributes": {"callback": f"{receiver.url}/prompt"},
            "prompts_callback": f"{receiver.url}/prompts?run=1",
        }
    }
    tune = api.post("/p/260/tunes", body)
    api.finish()
    api.finish()
    assert [path for path, _ in receiver.received] == [
        "/tune",
        "/prompt",
        "/prompt",
        "/prompts?run=1",
    ]
    ended = receiver.received[-1][1]
    assert isinstance(ended, list)
    assert all(set(prompt) == PROMPT and prompt["images"] for prompt in ended)
    assert {prompt["id"] for prompt in ended} == {
        prompt["id"] for prompt in api.get(f"/tunes/{tune['id']}/prompts")
    }


@pytest.mark.parametrize("pack", [260, 3100])
def test_prompts_callback_comes_for_a_run_on_tunes_that_exist(api, lora, receiver, pack):
    given = {"tune_ids": [lora["id"]], "prompts_callback": receiver.url}
    api.post(f"/p/{pack}/tunes", {"tune": given})
    assert receiver.received == []
    api.finish()
    [(_, ended)] = receiver.received
    assert {prompt["id"] for prompt in ended} == {prompt["id"] for prompt in api.get("/prompts")}
    assert len(ended) == 2


def test_prompts_callback_leaves_out_prompts_that_were_deleted(slow, receiver):
    tune = slow.tune(branch="flux1")
    given = {"tune_ids": [tune["id"]], "prompts_callback": receiver.url}
    slow.post("/p/260/tunes", {"tune": given})
    gone, kept = slow.get(f"/tunes/{tune['id']}/prompts")
    slow.call("DELETE", f"/prompts/{gone['id']}")
    slow.finish()
    [(_, ended)] = receiver.received
    assert [prompt["id"] for prompt in ended] == [kept["id"]]


def test_prompts_callback_comes_when_the_last_unfinished_prompt_is_deleted(slow, receiver):
    """The others have ended, so the run has."""
    trained = slow.tune(branch="flux1")
    slow.finish()
    waiting = slow.tune(branch="flux1")
    given = {"tune_ids": [trained["id"], waiting["id"]], "prompts_callback": receiver.url}
    slow.post("/p/260/tunes", {"tune": {**given, "prompt_ids": [18757251]}})
    slow.client.post("/_emulator/clock", json={"seconds": 70})
    assert slow.get(f"/tunes/{trained['id']}/prompts")[0]["trained_at"]
    [left] = slow.get(f"/tunes/{waiting['id']}/prompts")
    assert left["trained_at"] is None
    slow.call("DELETE", f"/tunes/{waiting['id']}")
    slow.finish()
    [(_, ended)] = receiver.received
    assert len(ended) == 1
