"""What a test does with the handle, and sees of it."""

from datetime import UTC, datetime, timedelta

import pytest
import requests

from astria_emulator import Astria, SetupError, mock_astria
from tests.testing.intercept.clients import HEADERS, TUNE, URL


def create(**more) -> int:
    body = {"tune": {**TUNE["tune"], **more}}
    return requests.post(f"{URL}/tunes", json=body, headers=HEADERS).json()["id"]


def test_whole_flow(astria: Astria):
    """As the README has it: created, called back, drawn, expired."""
    id = create(callback="https://app.example/hook")
    astria.finish()
    assert astria.tunes[0].state == "trained"
    assert [call.object for call in astria.callbacks] == ["tune"]
    text = {"prompt": {"text": "ohwx woman", "num_images": 2}}
    requests.post(f"{URL}/tunes/{id}/prompts", json=text, headers=HEADERS)
    astria.finish()
    assert len(astria.prompts[0].images) == 2
    assert requests.get(astria.prompts[0].images[0]).content.startswith(b"\xff\xd8")
    astria.advance(days=31)
    assert astria.tunes[0].state == "expired"


def test_tune_is_shown_as_it_is(astria: Astria):
    id = create(title="Jane", callback="https://app.example/hook")
    [tune] = astria.tunes
    assert (tune.id, tune.title, tune.name, tune.branch) == (id, "Jane", "woman", "fast")
    assert (tune.state, tune.trained_at, tune.failure) == ("queued", None, None)
    assert tune.callback == "https://app.example/hook"
    assert tune.fields["token"] == "ohwx"
    astria.finish()
    assert tune.state == "queued", "a view stays what it was"
    assert astria.tunes[0].trained_at >= tune.created_at


def test_failure_is_shown(astria: Astria):
    astria.fault("training-fails", message="Too dark.")
    astria.fault("prompt-fails", message="Not allowed.")
    create()
    body = {"prompt": {"text": "a cat"}}
    requests.post(f"{URL}/tunes/690204/prompts", json=body, headers=HEADERS)
    astria.finish()
    assert (astria.tunes[0].state, astria.tunes[0].failure) == ("failed", "Too dark.")
    assert (astria.prompts[0].state, astria.prompts[0].user_error) == ("failed", "Not allowed.")


def test_objects_of_every_account_are_shown_oldest_first(astria: Astria):
    for key, title in (("sd_b", "one"), ("sd_a", "two"), ("sd_b", "three")):
        body = {"tune": {**TUNE["tune"], "title": title}}
        headers = {"Authorization": f"Bearer {key}"}
        requests.post(f"{URL}/tunes", json=body, headers=headers)
    assert [tune.title for tune in astria.tunes] == ["one", "two", "three"]


def test_request_is_shown(astria: Astria):
    create(title="Jane")
    [asked] = astria.requests
    assert (asked.operation, asked.method, asked.path, asked.status) == (
        "create_tune", "POST", "/tunes", 201
    )  # fmt: skip
    assert asked.body["tune"]["title"] == "Jane"
    assert "sd_test" not in str(asked)


def test_time_moves_when_told(astria: Astria):
    before = astria.now
    assert astria.advance(days=1, hours=2, seconds=3) - before == timedelta(1, 3, hours=2)


def test_clock_begins_now_or_where_it_is_told():
    with mock_astria() as astria:
        assert abs(astria.now - datetime.now(UTC)) < timedelta(seconds=60)
    with mock_astria(clock="2030-05-01T00:00:00Z") as astria:
        assert astria.now == datetime(2030, 5, 1, tzinfo=UTC)


def test_scenario_stands_from_the_start_or_from_when_it_is_told():
    with mock_astria(scenario="refusals") as astria:
        assert requests.post(f"{URL}/tunes", json=TUNE, headers=HEADERS).status_code == 422
        astria.scenario("good-day")
        assert requests.post(f"{URL}/tunes", json=TUNE, headers=HEADERS).status_code == 201


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"fault": "nonsense"}, "expected one of latency"),
        ({"fault": "latency"}, "seconds can't be blank"),
        ({"fault": "server-error", "operatoin": "x"}, "is not known"),
    ],
)
def test_fault_that_cannot_be_is_refused(astria: Astria, rule, said):
    with pytest.raises(SetupError, match=said):
        astria.fault(**rule)


def test_unknown_scenario_is_refused(astria: Astria):
    with pytest.raises(SetupError, match="good-day"):
        astria.scenario("worst-day")


def test_reset_forgets_everything(astria: Astria):
    create()
    astria.fault("server-error")
    astria.reset()
    assert (astria.tunes, astria.requests, astria.callbacks) == ([], [], [])
    assert create() == 5000001


def test_server_at_the_url_shares_the_state(astria: Astria):
    id = create()
    astria.finish()
    shown = requests.get(f"{astria.url}/tunes/{id}", headers=HEADERS).json()
    assert shown["trained_at"]
    assert requests.get(f"{astria.url}/_emulator/health").json() == {"status": "ok"}
    [entry] = [one for one in astria.requests if one.operation == "get_tune"]
    assert entry.status == 200


def test_same_history_gives_the_same_answers():
    def history() -> list[bytes]:
        with mock_astria(clock="2026-01-01T00:00:00Z", seed=7) as astria:
            create()
            astria.finish()
            body = {"prompt": {"text": "ohwx woman", "num_images": 1}}
            requests.post(f"{URL}/prompts", json=body, headers=HEADERS)
            astria.finish()
            got = requests.get(f"{URL}/tunes", headers=HEADERS).content
            return [got, *(requests.get(url).content for url in astria.tunes[0].images)]

    assert history() == history()
