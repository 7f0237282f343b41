"""Finding the target: what is refused, whether it is public, what it lacks, how a run ends."""

from contextlib import nullcontext

import pytest
import requests

from astria_contracts.client import discovery
from astria_contracts.client.discovery import describe, opened
from astria_contracts.client.target import TargetError
from astria_contracts.options import SECOND_KEY, Options
from astria_contracts.spec.document import read_document

DOCUMENT = read_document()
FULL = {
    "finish": True,
    "clock": "virtual",
    "idempotency_switch": True,
    "faults": True,
    "real_training": False,
}
PUBLIC = "93.184.216.34"


# -- what is refused -------------------------------------------------------------------------------
@pytest.mark.parametrize("url", ["", "example.com", "ftp://example.com", "http://", "http://[::1"])
def test_target_that_is_no_address_is_refused(url, sent):
    with pytest.raises(TargetError, match="expected http://HOST or https://HOST"):
        describe(Options(), url, DOCUMENT)
    assert sent == []


def test_unknown_host_is_refused(names, sent):
    names({})
    with pytest.raises(TargetError, match=r"there is no host 'nowhere\.example'"):
        describe(Options(), "http://nowhere.example", DOCUMENT)
    assert sent == []


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_rate_that_never_asks_is_refused(rate, sent):
    with pytest.raises(TargetError, match="expected more than 0"):
        describe(Options(rate=rate), f"https://{PUBLIC}", DOCUMENT)
    assert sent == []


def test_paid_branch_is_refused_at_a_public_address(sent):
    with pytest.raises(TargetError, match=f"branch flux1 at {PUBLIC} costs money: --allow-paid"):
        describe(Options(branch="flux1"), f"https://{PUBLIC}", DOCUMENT)
    assert sent == []


@pytest.mark.parametrize(
    ("url", "options"),
    [
        (f"https://{PUBLIC}", Options(branch="flux1", allow_paid=True)),
        (f"https://{PUBLIC}", Options(branch="fast")),
        ("http://127.0.0.1:1", Options(branch="flux1")),
    ],
)
def test_branch_is_taken_where_it_costs_nothing_or_is_allowed(url, options, sent):
    assert describe(options, url, DOCUMENT).options is options
    assert len(sent) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:1"])
def test_target_that_does_not_answer_is_refused(url):
    with pytest.raises(TargetError, match=f"{url} does not answer: ConnectionError"):
        describe(Options(), url, DOCUMENT)


def test_public_target_that_does_not_answer_is_refused(monkeypatch):
    def fail(*args, **kwargs):
        raise requests.ReadTimeout

    monkeypatch.setattr(requests.Session, "request", fail)
    with pytest.raises(TargetError, match="does not answer: ReadTimeout"):
        describe(Options(), f"https://{PUBLIC}", DOCUMENT)


# -- whether it is public --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("addresses", "public"),
    [
        (["127.0.0.1"], False),
        (["10.1.2.3"], False),
        (["172.16.0.1", "192.168.0.1"], False),
        (["::1"], False),
        (["fd00::1"], False),
        (["fe80::1%lo"], False),
        (["::ffff:10.1.2.3"], False),
        ([PUBLIC], True),
        ([f"::ffff:{PUBLIC}"], True),
        (["2606:2800:220:1:248:1893:25c8:1946"], True),
        (["10.1.2.3", PUBLIC], True),
    ],
)
def test_target_is_public_where_any_of_its_addresses_is(addresses, public, names, sent):
    names({"api.example": addresses})
    assert describe(Options(), "http://api.example", DOCUMENT).is_public is public


def test_public_target_is_only_greeted(sent):
    target = describe(Options(), f"https://{PUBLIC}", DOCUMENT)
    assert sent == [("GET", f"https://{PUBLIC}/")]
    assert target.info == {}


@pytest.mark.parametrize(
    ("options", "url", "avoids"),
    [
        (Options(), f"https://{PUBLIC}", True),
        (Options(allow_paid=True), f"https://{PUBLIC}", False),
        (Options(), "http://127.0.0.1", False),
    ],
)
def test_target_is_spared_where_it_is_public_and_not_paid_for(options, url, avoids, sent):
    target = describe(options, url, DOCUMENT)
    assert target.avoids_costs is avoids
    assert ("paid" in target.lacks) is avoids


# -- what it lacks ---------------------------------------------------------------------------------
def test_emulator_with_a_second_account_lacks_nothing(server):
    server.tells(FULL)
    target = describe(Options(second_key="sd_two"), server.url, DOCUMENT)
    assert target.lacks == {}
    assert target.info["version"] == "9"


@pytest.mark.parametrize(
    ("capability", "value", "lacked", "reason"),
    [
        ("finish", False, "finish", "the target has no /_emulator/finish"),
        ("clock", "real", "clock", "the target's clock cannot be moved"),
        ("idempotency_switch", False, "idempotency switch", "setting cannot be changed from here"),
        ("faults", False, "faults", "the target cannot be made to fail"),
        ("real_training", True, "mock", "pictures may differ from run to run"),
    ],
)
def test_each_capability_is_lacked_with_its_reason(server, capability, value, lacked, reason):
    server.tells({**FULL, capability: value})
    target = describe(Options(second_key="sd_two"), server.url, DOCUMENT)
    assert lacked in target.lacks
    assert reason in target.lacks[lacked]


@pytest.mark.parametrize(
    "answer",
    [(404, b"{}"), (200, b"<html>"), (200, b"[]"), (200, b"null"), (500, b"{}")],
)
def test_server_that_says_nothing_of_itself_lacks_what_only_emulators_have(server, answer):
    server.answers["/_emulator/info"] = answer
    target = describe(Options(), server.url, DOCUMENT)
    assert {"finish", "clock", "idempotency switch", "mock", "second key"} <= set(target.lacks)
    assert not {"paid", "callbacks"} & set(target.lacks)


def test_public_target_cannot_call_back_without_an_address(sent):
    lacks = describe(Options(), f"https://{PUBLIC}", DOCUMENT).lacks
    assert lacks["callbacks"] == "the target cannot reach this machine's loopback: --listener-url"
    given = Options(listener_url="https://here.example")
    assert "callbacks" not in describe(given, f"https://{PUBLIC}", DOCUMENT).lacks


# -- its opening and its end -----------------------------------------------------------------------
def test_what_was_made_is_deleted_at_the_end_the_newest_first(server):
    server.answers |= {"/tunes/1": (200, b""), "/prompts/2": (204, b"")}
    with opened(Options(target=f"{server.url}/", key="sd_one"), DOCUMENT) as target:
        target.created += [("sd_one", "/tunes/1"), ("sd_two", "/prompts/2"), ("sd_one", "/tunes/3")]
        server.asked.clear()
    assert server.asked == [
        ("DELETE", "/tunes/3", "Bearer sd_one"),
        ("DELETE", "/prompts/2", "Bearer sd_two"),
        ("DELETE", "/tunes/1", "Bearer sd_one"),
    ]
    assert (target.undeleted, target.created) == ([], [])


def test_what_cannot_be_deleted_is_told(server):
    server.answers |= {"/tunes/1": (500, b""), "/tunes/2": (200, b"")}
    with opened(Options(target=server.url), DOCUMENT) as target:
        target.created += [("sd_one", "/tunes/1"), ("sd_one", "/tunes/2")]
    assert target.undeleted == ["/tunes/1"]


def test_emulator_is_started_where_no_target_is_given(monkeypatch, server):
    server.tells(FULL)
    monkeypatch.setattr(discovery, "emulator", lambda: nullcontext(server.url))
    with opened(Options(), DOCUMENT) as target:
        assert target.url == server.url
        assert target.keys["second"] == SECOND_KEY
        assert "second key" not in target.lacks


def test_titles_of_two_runs_at_one_server_differ(server):
    with opened(Options(target=server.url), DOCUMENT) as one:
        pass
    with opened(Options(target=server.url), DOCUMENT) as two:
        pass
    assert one.tag != two.tag


def test_emulator_is_started_whatever_the_current_folder_holds(tmp_path, monkeypatch):
    (tmp_path / "click.py").write_text("raise SystemExit('another one')")
    monkeypatch.chdir(tmp_path)
    with opened(Options(), DOCUMENT) as target:
        assert target.info["name"] == "astria-emulator"
