"""The server that is tested: what is refused, what it lacks, how fast it is asked, what is left."""

import json
from collections import Counter
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import pytest
import requests

from astria_contracts.client import target as module
from astria_contracts.client.target import Answer, Target, TargetError, describe, opened
from astria_contracts.options import SECOND_KEY, Options
from astria_contracts.spec.document import read_document
from tests.listeners import listening

DOCUMENT = read_document()
FULL = {
    "finish": True,
    "clock": "virtual",
    "idempotency_switch": True,
    "faults": True,
    "real_training": False,
}
PUBLIC = "93.184.216.34"


class Server:
    """Answers by path; 404 where it knows none. Notes what it was asked."""

    def __init__(self):
        self.asked = []
        self.answers = {}

    @property
    def handler(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                server.asked.append((self.command, self.path, self.headers.get("Authorization")))
                status, body = server.answers.get(self.path, (404, b"{}"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_DELETE = answer  # noqa: N815

            def log_message(self, format, *args): ...

        return Handler


@pytest.fixture
def server():
    found = Server()
    with listening(found.handler) as found.url:
        yield found


@pytest.fixture
def sent(monkeypatch):
    """Every request that a session would send; nothing leaves this machine."""
    asked = []

    def request(self, method, url, **more):
        asked.append((method, url))
        answer = requests.Response()
        answer.status_code = 200
        answer._content = b"{}"
        return answer

    monkeypatch.setattr(requests.Session, "request", request)
    return asked


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when someone sleeps."""
    found = SimpleNamespace(now=100.0, slept=[])

    def sleep(seconds):
        found.slept.append(round(seconds, 3))
        found.now += seconds

    fake = SimpleNamespace(sleep=sleep, monotonic=lambda: found.now)
    monkeypatch.setattr(module, "time", fake)
    return found


def info(server, capabilities):
    body = {"name": "astria-emulator", "version": "9", "capabilities": capabilities}
    server.answers["/_emulator/info"] = (200, json.dumps(body).encode())


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
    ("options", "url", "spares"),
    [
        (Options(), f"https://{PUBLIC}", True),
        (Options(allow_paid=True), f"https://{PUBLIC}", False),
        (Options(), "http://127.0.0.1", False),
    ],
)
def test_target_is_spared_where_it_is_public_and_not_paid_for(options, url, spares, sent):
    target = describe(options, url, DOCUMENT)
    assert target.spares is spares
    assert ("paid" in target.lacks) is spares


# -- what it lacks ---------------------------------------------------------------------------------
def test_emulator_with_a_second_account_lacks_nothing(server):
    info(server, FULL)
    target = describe(Options(second_key="sd_two"), server.url, DOCUMENT)
    assert target.lacks == {}
    assert target.info["version"] == "9"


@pytest.mark.parametrize(
    ("capability", "value", "lacked", "reason"),
    [
        ("finish", False, "finish", "the target has no /_emulator/finish"),
        ("clock", "real", "clock", "the target's clock cannot be moved"),
        ("idempotency_switch", False, "idempotency switch", "setting cannot be changed from here"),
        ("faults", False, "faults", "the target cannot be told to fail"),
        ("real_training", True, "mock", "pictures may differ from run to run"),
    ],
)
def test_each_capability_is_lacked_with_its_reason(server, capability, value, lacked, reason):
    info(server, {**FULL, capability: value})
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


# -- how fast it is asked --------------------------------------------------------------------------
def test_public_target_is_asked_no_faster_than_it_may_be(sent, clock):
    target = Target(Options(rate=4.0), "https://api.example", DOCUMENT, is_public=True)
    for _ in range(3):
        target.send("GET", "/tunes")
    assert clock.slept == [0, 0.25, 0.25]


def test_pause_between_requests_counts(sent, clock):
    target = Target(Options(rate=4.0), "https://api.example", DOCUMENT, is_public=True)
    target.send("GET", "/tunes")
    clock.now += 0.2
    target.send("GET", "/tunes")
    clock.now += 60
    target.send("GET", "/tunes")
    target.send("GET", "/tunes")
    assert clock.slept == [0, 0.05, 0, 0.25]


def test_private_target_is_asked_at_once(sent, clock):
    target = Target(Options(rate=0.1), "http://127.0.0.1", DOCUMENT)
    for _ in range(3):
        target.send("GET", "/tunes")
    assert clock.slept == []


def refusing(monkeypatch, times, headers):
    """A session that is told 429 so often before it is answered."""
    answers = []

    def request(self, method, url, **more):
        answer = requests.Response()
        answer.status_code = 429 if len(answers) < times else 200
        answer.headers.update(headers)
        answers.append(answer)
        return answer

    monkeypatch.setattr(requests.Session, "request", request)
    return answers


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry-After": "7"}, 7),
        ({}, 10),
        ({"Retry-After": ""}, 10),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 10),
    ],
)
def test_public_target_that_is_busy_is_asked_again_later(monkeypatch, clock, headers, pause):
    answers = refusing(monkeypatch, 1, headers)
    target = Target(Options(rate=1000.0), "https://api.example", DOCUMENT, is_public=True)
    assert target.send("GET", "/tunes").status_code == 200
    assert len(answers) == 2
    assert pause in clock.slept


def test_public_target_that_stays_busy_is_given_up(monkeypatch, clock):
    answers = refusing(monkeypatch, 99, {"Retry-After": "1"})
    target = Target(Options(rate=1000.0), "https://api.example", DOCUMENT, is_public=True)
    assert target.send("GET", "/tunes").status_code == 429
    assert len(answers) == module.RETRIES


def test_refusal_of_a_private_target_is_an_answer(monkeypatch, clock):
    answers = refusing(monkeypatch, 1, {"Retry-After": "7"})
    assert Target(Options(), "http://127.0.0.1", DOCUMENT).send("GET", "/").status_code == 429
    assert (len(answers), clock.slept) == (1, [])


def test_address_of_a_file_is_fetched_as_it_is(sent):
    Target(Options(), "http://127.0.0.1:1", DOCUMENT).send("GET", "https://files.example/1.jpg")
    assert sent == [("GET", "https://files.example/1.jpg")]


def test_password_file_and_proxies_are_left_alone_at_a_private_target(
    tmp_path, monkeypatch, server
):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    Target(Options(), server.url, DOCUMENT).send("GET", "/tunes")
    assert server.asked == [("GET", "/tunes", None)]


# -- what was asked and made -----------------------------------------------------------------------
def test_exchange_is_kept_and_judged():
    target = Target(Options(), "http://127.0.0.1", DOCUMENT)
    answer = Answer(404, {"Content-Type": "application/json"}, b'{"status": 404}')
    wrong = target.note(DOCUMENT.operations["get_tune"], "curl x", answer)
    assert [one.partition(":")[0] for one in wrong] == ["GET /tunes/{id} answered 404"] * 2
    assert [(one.operation, one.curl, one.status, one.answer) for one in target.exchanges] == [
        ("get_tune", "curl x", 404, '{"status": 404}')
    ]
    assert target.operations == {"get_tune"}
    assert target.meter.statuses.seen == Counter({"get_tune 404": 1})


def test_exchanges_are_those_of_one_test():
    target = Target(Options(), "http://127.0.0.1", DOCUMENT)
    target.note(DOCUMENT.operations["get_tune"], "curl x", Answer(404, {}, b""))
    target.begin()
    assert (target.exchanges, target.operations) == ([], set())
    assert target.meter.statuses.seen["get_tune 404"] == 1


def test_what_was_made_is_deleted_at_the_end_the_newest_first(server):
    server.answers |= {"/tunes/1": (200, b""), "/prompts/2": (204, b"")}
    with opened(Options(target=f"{server.url}/", key="sd_one"), DOCUMENT) as target:
        target.made += [("sd_one", "/tunes/1"), ("sd_two", "/prompts/2"), ("sd_one", "/tunes/3")]
        server.asked.clear()
    assert server.asked == [
        ("DELETE", "/tunes/3", "Bearer sd_one"),
        ("DELETE", "/prompts/2", "Bearer sd_two"),
        ("DELETE", "/tunes/1", "Bearer sd_one"),
    ]
    assert (target.left, target.made) == ([], [])


def test_what_cannot_be_deleted_is_told(server):
    server.answers |= {"/tunes/1": (500, b""), "/tunes/2": (200, b"")}
    with opened(Options(target=server.url), DOCUMENT) as target:
        target.made += [("sd_one", "/tunes/1"), ("sd_one", "/tunes/2")]
    assert target.left == ["/tunes/1"]


def test_target_that_is_gone_at_the_end_leaves_all():
    target = Target(Options(), "http://127.0.0.1:1", DOCUMENT, made=[("sd_one", "/tunes/1")])
    target.delete_all()
    assert target.left == ["/tunes/1"]


def test_emulator_is_started_where_no_target_is_given(monkeypatch, server):
    info(server, FULL)
    monkeypatch.setattr(module, "emulator", lambda: nullcontext(server.url))
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
