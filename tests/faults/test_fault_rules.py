"""When a rule injects its fault, and how rules are read, written and refused."""

import threading
from collections import Counter
from fnmatch import filter as matching

import pytest

from astria_emulator.config import Config
from astria_emulator.errors import Invalid, SetupError
from astria_emulator.faults import rules
from astria_emulator.faults.answering import inject_into_answer
from astria_emulator.faults.kinds import KINDS
from astria_emulator.faults.reading import (
    configured_rules,
    operation_names,
    read_rule,
    rule_as_json,
    scenarios,
)
from astria_emulator.faults.rules import LONGEST_SECONDS, Faults, Rule
from astria_emulator.spec.loading import control_contract

OPERATIONS = ("create_tune", "get_tune", "list_tunes", "file")


def strikes(rule: Rule, times: int = 6, *, name: str = "get_tune", seed: int = 0) -> list[bool]:
    faults = Faults(seed)
    faults.add(rule)
    return [faults.inject({rule.fault}, name, lambda key: False) is not None for _ in range(times)]


def test_rule_strikes_all_that_fits():
    assert strikes(Rule("latency"), 3) == [True] * 3


@pytest.mark.parametrize(
    ("pattern", "hit"),
    [("get_tune", True), ("get_*", True), ("create_*", False), ("*_tune", True), ("get", False)],
)
def test_operation_is_a_name_or_a_pattern(pattern, hit):
    assert strikes(Rule("latency", operation=pattern), 1) == [hit]


def test_nth_counts_what_fits():
    assert strikes(Rule("latency", nth=(2, 5))) == [False, True, False, False, True, False]


def test_times_is_how_often_at_most():
    assert strikes(Rule("latency", times=2)) == [True, True, False, False, False, False]


def test_chance_is_drawn_from_the_seed():
    rule = Rule("latency", probability=0.5)
    first, again, other = (strikes(rule, 200, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert 70 < sum(first) < 130


def test_probability_of_nothing_and_of_all():
    assert not any(strikes(Rule("latency", probability=0), 50))
    assert all(strikes(Rule("latency", probability=1), 50))


def test_first_rule_that_is_due_strikes_and_all_are_counted():
    faults = Faults(0)
    faults.add(Rule("server-error", nth=(1,)))
    faults.add(Rule("rate-limited", nth=(1, 2)))
    names = [
        found.names for _ in range(2) if (found := inject_into_answer(faults, "get_tune", str))
    ]
    assert names == [["server-error"], ["rate-limited"]]
    assert [(one.met, one.struck) for one in faults.active()] == [(2, 1), (2, 1)]


def test_reset_brings_back_the_first_rules_with_new_counts():
    faults = Faults(0)
    faults.start_with([Rule("latency", times=1)])
    faults.add(Rule("server-error"))
    faults.inject({"latency"}, "get_tune", str)
    faults.reset()
    assert [(one.id, one.rule.fault, one.met) for one in faults.active()] == [(1, "latency", 0)]


@pytest.mark.parametrize(
    ("settings", "low", "high"),
    [
        ({"seconds": 2}, 2, 2),
        ({"seconds": 1, "up_to": 3}, 1, 3),
        ({"seconds": 1, "sigma": 2, "up_to": 5}, 0, 5),
        ({"seconds": 0, "up_to": 0}, 0, 0),
    ],
)
def test_latency_is_fixed_uniform_or_lognormal(settings, low, high):
    faults = Faults(0)
    faults.add(Rule("latency", settings=settings))
    drawn = [faults.inject({"latency"}, "x", str).seconds() for _ in range(300)]
    assert low <= min(drawn) <= max(drawn) <= high
    if "sigma" in settings:
        assert 0.7 < sorted(drawn)[150] < 1.4  # the median
        assert Counter(drawn)[5.0] > 10  # cut off


def test_lognormal_latency_is_never_longer_than_can_be_waited_for():
    faults = Faults(0)
    faults.add(Rule("latency", settings={"seconds": 31_536_000, "sigma": 10}))
    drawn = [faults.inject({"latency"}, "x", str).seconds() for _ in range(50)]
    assert max(drawn) == LONGEST_SECONDS < threading.TIMEOUT_MAX


def test_there_are_only_so_many_rules(api, monkeypatch):
    monkeypatch.setattr(rules, "MOST_RULES", 2)
    rule = {"fault": "server-error", "nth": [99]}
    asked = [api.client.post("/_emulator/faults", json=rule) for _ in range(3)]
    assert [answer.status_code for answer in asked] == [201, 201, 409]
    assert asked[2].json["error"] == "there are 2 rules, and no more may be; delete one"
    assert api.client.delete("/_emulator/faults/1").status_code == 200
    assert api.client.post("/_emulator/faults", json=rule).status_code == 201


@pytest.mark.parametrize(
    "more",
    [
        {"fault": "latency", "seconds": 1, "operation": "*" * 101},
        {"fault": "latency", "seconds": 1, "key": "k" * 1001},
        {"fault": "latency", "seconds": 1, "nth": [1] * 1001},
        {"fault": "training-fails", "message": "x" * 1001},
        {"fault": "unprocessable", "messages": {f"a{at}": ["b"] for at in range(21)}},
        {"fault": "unprocessable", "messages": {"a": ["b"] * 21}},
        {"fault": "unprocessable", "messages": {"a": ["b" * 1001]}},
        {"fault": "unprocessable", "messages": {"a" * 101: ["b"]}},
    ],
)
def test_rule_that_is_too_long_is_refused(more):
    with pytest.raises(Invalid, match="Unprocessable") as refused:
        read_rule(more, OPERATIONS)
    assert "too long" in str(refused.value.messages) or "too many" in str(refused.value.messages)


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, {"fault"}),
        ({"fault": "nonsense"}, {"fault"}),
        ({"fault": "latency"}, {"seconds"}),
        ({"fault": "latency", "seconds": -1}, {"seconds"}),
        ({"fault": "latency", "seconds": 3, "up_to": 1}, {"up_to"}),
        ({"fault": "server-error", "operatoin": "get_tune"}, {"operatoin"}),
        ({"fault": "server-error", "operation": "get_tunes"}, {"operation"}),
        ({"fault": "server-error", "operation": "creat_*"}, {"operation"}),
        ({"fault": "server-error", "operation": "file", "key": "sd_a"}, {"key"}),
        ({"fault": "server-error", "seconds": 3}, {"seconds"}),
        ({"fault": "server-error", "object": "tune"}, {"object"}),
        ({"fault": "callback-dropped", "operation": "get_tune"}, {"operation"}),
        ({"fault": "callback-dropped", "object": "pack"}, {"object"}),
        ({"fault": "server-error", "nth": [0], "times": 0, "probability": 2},
         {"nth", "times", "probability"}),
        ({"fault": "gateway-page", "status": 200}, {"status"}),
        ({"fault": "unprocessable", "messages": {"text": "x"}}, {"messages.text"}),
        (["fault"], {"base"}),
    ],
)  # fmt: skip
def test_rule_that_cannot_be_is_refused_with_all_that_is_wrong(given, fields):
    with pytest.raises(Invalid) as caught:
        read_rule(given, OPERATIONS)
    assert set(caught.value.messages) == fields


@pytest.mark.parametrize("name", KINDS)
def test_rule_reads_as_it_is_written(name):
    needs = {"seconds": 3} if "seconds" in KINDS[name].needs else {}
    rule = read_rule({"fault": name, "nth": [1, 3], "times": 2, **needs}, OPERATIONS)
    assert read_rule(rule_as_json(rule), OPERATIONS) == rule


def test_contract_of_the_control_surface_names_every_fault_and_setting():
    fault = control_contract().spec.schema("Fault")
    assert set(fault["properties"]["fault"]["enum"]) == set(KINDS)
    taken = set().union(*(kind.takes for kind in KINDS.values()))
    assert taken <= fault["properties"].keys()


def test_key_of_a_rule_is_not_shown():
    assert "secret" not in str(rule_as_json(Rule("latency", key="sd_secret")))


def test_rules_of_a_file_stand_at_the_start(tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text("- {fault: server-error, operation: get_tune}\n- {fault: callback-dropped}\n")
    rules = configured_rules(Config(faults=str(path), scenario=("failed-training",)), OPERATIONS)
    assert [rule.fault for rule in rules] == ["training-fails", "server-error", "callback-dropped"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fault: latency", "expected a list of rules"),
        ("- {fault: latency}\n- {fault: x}", "rule 1: seconds can't be blank\n  - rule 2: fault"),
        ("- {", "faults.yaml"),
        (None, "No such file"),
    ],
)
def test_file_that_is_wrong_stops_the_start(tmp_path, text, said):
    path = tmp_path / "faults.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SetupError) as caught:
        configured_rules(Config(faults=str(path)), OPERATIONS)
    assert said in str(caught.value)


def test_unknown_scenario_stops_the_start():
    with pytest.raises(SetupError, match="expected one of good-day, bad-day"):
        configured_rules(Config(scenario=("worst-day",)), OPERATIONS)


def test_operations_of_scenarios_are_the_contracts(make_app):
    known = operation_names(make_app().compiler.spec)
    for scenario in scenarios().values():
        for rule in scenario.rules:
            read_rule(rule_as_json(rule), known)
            assert matching(known, rule.operation)
