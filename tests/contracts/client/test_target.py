"""The server that is tested: how fast it is asked, and what is noted of that."""

from collections import Counter

import pytest
import requests

from astria_contracts.client.target import RETRIES, Answer, Target
from astria_contracts.options import Options
from astria_contracts.spec.document import read_document

DOCUMENT = read_document()


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
    """A session that is refused with 429 so often before it is answered."""
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
    assert len(answers) == RETRIES


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
    wrong = target.record(DOCUMENT.operations["get_tune"], "curl x", answer)
    assert [one.partition(":")[0] for one in wrong] == ["GET /tunes/{id} answered 404"] * 2
    assert [(one.operation, one.curl, one.status, one.answer) for one in target.exchanges] == [
        ("get_tune", "curl x", 404, '{"status": 404}')
    ]
    assert target.operations == {"get_tune"}
    assert target.coverage.statuses.seen == Counter({"get_tune 404": 1})


def test_exchanges_are_those_of_one_test():
    target = Target(Options(), "http://127.0.0.1", DOCUMENT)
    target.record(DOCUMENT.operations["get_tune"], "curl x", Answer(404, {}, b""))
    target.start_test()
    assert (target.exchanges, target.operations) == ([], set())
    assert target.coverage.statuses.seen["get_tune 404"] == 1


def test_target_that_is_gone_at_the_end_leaves_all():
    target = Target(Options(), "http://127.0.0.1:1", DOCUMENT, created=[("sd_one", "/tunes/1")])
    target.delete_all()
    assert target.undeleted == ["/tunes/1"]
