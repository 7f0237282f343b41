"""Every scenario: each of its rules affects a client that does the whole flow and retries."""

from dataclasses import dataclass, field

import pytest

from astria_emulator.faults.reading import scenarios
from astria_emulator.request.connection import CONNECTION

TRIES = 6
WOMAN = {"title": "Jane", "name": "woman", "branch": "fast", "image_urls": ["https://a.example/1"]}


@dataclass
class Patient:
    """A connection that waits for nobody, and a client that tries again."""

    client: object
    waited: list = field(default_factory=list)

    def wait(self, seconds):
        self.waited.append(seconds)

    def reset(self):
        self.waited.append("reset")

    def call(self, method, path, json=None):
        """The JSON of the first answer that is good and whole; None when there is none."""
        for _ in range(TRIES):
            answer = self.client.open(
                path,
                method=method,
                json=json,
                headers={"Authorization": "Bearer sd_test"},
                environ_overrides={CONNECTION: self},
            )
            whole = answer.content_length == len(answer.data)
            if answer.status_code < 300 and whole and (found := answer.get_json(silent=True)):
                return found
            if whole and answer.mimetype == "image/jpeg":
                return None
        return None


@pytest.mark.parametrize("name", scenarios())
def test_all_rules_of_a_scenario_strike(make_app, receiver, name):
    app = make_app(scenario=(name,))
    client = app.test_client()
    patient = Patient(client)
    patient.call("POST", "/tunes", {"tune": {**WOMAN, "callback": f"{receiver.url}/tune"}})
    tunes = patient.call("GET", "/tunes") or []
    for tune in tunes[:1]:
        for at in (1, 2):
            prompt = {"text": f"ohwx woman {at}", "callback": f"{receiver.url}/prompt"}
            patient.call("POST", f"/tunes/{tune['id']}/prompts", {"prompt": prompt})
        for _ in range(3):
            patient.call("GET", f"/tunes/{tune['id']}")
        client.post("/_emulator/finish")
        for prompt in patient.call("GET", f"/tunes/{tune['id']}/prompts") or []:
            patient.call("GET", f"/prompts/{prompt['id']}")
            for url in prompt["images"]:
                patient.call("GET", url)
    standing = client.get("/_emulator/faults").json
    assert {one["rule"]["fault"]: one for one in standing if not one["struck"]} == {}
    assert len(standing) == len(scenarios()[name].rules)


def test_scenario_can_be_played_while_the_server_runs(api):
    rules = api.client.put("/_emulator/scenarios/failed-training").json
    assert [one["rule"]["fault"] for one in rules] == ["training-fails"]
    rules = api.client.put("/_emulator/scenarios/good-day").json
    assert rules == []
    refused = api.client.put("/_emulator/scenarios/worst-day")
    assert (refused.status_code, "good-day" in refused.json["error"]) == (404, True)


def test_scenarios_are_listed_with_their_rules(api):
    found = api.client.get("/_emulator/scenarios").json
    assert [one["name"] for one in found] == [*scenarios()]
    assert all(one["says"] and one["ends"] in ("well", "badly") for one in found)


def test_scenario_of_the_start_stands_again_after_a_reset(make_api):
    api = make_api(scenario=("refusals",))
    api.client.put("/_emulator/scenarios/good-day")
    api.client.post("/_emulator/reset")
    assert [one["rule"]["fault"] for one in api.client.get("/_emulator/faults").json] == [
        "unprocessable"
    ]


def test_rule_is_removed_by_its_id(api):
    first = api.client.post("/_emulator/faults", json={"fault": "server-error"}).json
    api.client.post("/_emulator/faults", json={"fault": "callback-dropped"})
    assert api.client.delete(f"/_emulator/faults/{first['id']}").status_code == 200
    assert api.client.delete(f"/_emulator/faults/{first['id']}").status_code == 404
    assert [one["rule"]["fault"] for one in api.client.get("/_emulator/faults").json] == [
        "callback-dropped"
    ]


def test_rule_that_is_wrong_is_refused_and_none_is_added(api):
    refused = api.client.post("/_emulator/faults", json={"fault": "latency", "wait": 1})
    assert refused.status_code == 422
    assert refused.json == {"wait": ["is not known"]}
    assert api.client.get("/_emulator/faults").json == []
