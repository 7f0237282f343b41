"""Each finding, red and green, on plays that are made up; and the grade."""

import pytest

from astria_emulator.testing.check_client.grading import ADVICE, Verdict, grade, judge
from tests.testing.check_client.histories import (
    ID,
    OTHER,
    PROMPT_ID,
    call,
    dropped,
    get,
    play,
    post,
    post_prompt,
    tune,
)

LOST = "gateway-timeout"
TITLED = {"tune": {"title": "Another"}}
ELSEWHERE = {"tune": {"title": "Jane", "callback": "http://127.0.0.1:2/hook?secret=2"}}
GOOD = play(
    post(0, made=ID),
    post_prompt(1, made=PROMPT_ID),
    post_prompt(2, made=PROMPT_ID + 1, body={"prompt": {"text": "by the sea"}}),
    scenario="good-day",
)
TWICE = play(post(0, made=ID), post(1, made=OTHER), scenario="good-day")
LIST = {"operation": "list_tunes", "path": "/tunes"}
POLLS = [get(at / 10) for at in range(5)]
BOTH = [post_prompt(1, made=PROMPT_ID), post_prompt(2, made=PROMPT_ID + 1)]
CALLED_TWICE = [call(0.9), call(1.5)]


def names(found, good=None):
    return [finding.name for finding in judge(found, good).findings]


RED = {
    "retried-a-422": [
        (play(post(0, 422), post(1, 422), exit=1, scenario="refusals"), None),
        # The address to call back may be another one each time.
        (play(post(0, 422), post(1, 422, body=ELSEWHERE), exit=1, scenario="refusals"), None),
        (play(*[post(at, 422) for at in range(3)], exit=1, scenario="refusals"), TWICE),
    ],
    "doubled-a-tune": [
        (play(post(0, 504, LOST, made=ID), post(1, made=OTHER)), None),
        (play(post(0, None, "connection-reset", made=ID), post(1, made=OTHER)), None),
        (play(post(0, 201, "cut-body", made=ID), post(1, made=OTHER)), None),
        (play(post(0, 201, "malformed-json", made=ID), post(1, made=OTHER)), None),
        (play(post(0, 500, "server-error", made=ID), post(1, made=OTHER)), None),
        (play(post(0, 504, LOST, made=ID), post(1, 504, LOST, made=OTHER)), None),
        (play(post(0, 504, LOST, made=ID), post(1, made=OTHER), post(2, made=7)), TWICE),
    ],
    "doubled-a-prompt": [
        (play(post_prompt(0, 504, LOST, made=7), post_prompt(1, made=8)), None),
    ],
    "lost-work": [
        (play(post(0, 500, "server-error")), None),
        (play(post(0, 429, "rate-limited")), None),
        (play(post(0, None, "connection-reset")), None),
        (play(post(0, made=ID), post_prompt(1, 502, "gateway-page")), None),
        (play(post(0, 500, "server-error"), post(1, made=ID, body=TITLED)), TWICE),
    ],
    "did-less": [
        (play(post(0, made=ID), post_prompt(1, made=PROMPT_ID)), GOOD),
    ],
    "lost-callback": [
        (play(tune(1.0), dropped(1.0)), None),
        (play(tune(1.0), dropped(1.0), get(0.5)), None),  # before its end
        (play(tune(1.0), dropped(1.0), get(2, 200, "cut-body")), None),
        (play(tune(1.0), dropped(1.0), get(2, path=f"/tunes/{OTHER}")), None),
    ],
    "callback-refused": [
        (play(call(1, 500)), None),
        (play(call(1, 404), tune(1.0), get(2)), None),
        (play(call(1, None, error="ConnectionRefusedError: Connection refused")), None),
        (play(call(1, None, error="timed out", ended=11.0), seconds=20.0), None),
    ],
    "doubled-callback-effect": [
        (play(*CALLED_TWICE, *BOTH), None),
    ],
    "ignored-retry-after": [
        (play(get(0, 429, "rate-limited"), get(0.5), scenario="rate-limited"), None),
        (play(post(0, 429, "rate-limited"), post(0.9, made=ID), scenario="rate-limited"), None),
    ],
    "polled-past-the-limit": [
        (play(*POLLS, tune(1.0)), None),
        (play(*POLLS, tune(None)), None),
        (play(*[get(at / 10, **LIST) for at in range(5)], tune(1)), None),
    ],
    "gave-up": [(play(exit=1), None)],
    "never-noticed": [(play(scenario="failed-training"), None)],
    "waited-for-ever": [
        (play(exit=None), None),
        (play(exit=None, scenario="failed-training"), None),
    ],
}  # fmt: skip

GREEN = {
    "retried-a-422": [
        (play(post(0, 422), exit=1, scenario="refusals"), None),
        (play(post(0, 422), post(1, 422, body=TITLED), exit=1, scenario="refusals"), None),
        # Sent before the first was answered.
        (play(post(0, 422), post(0.005, 422), exit=1, scenario="refusals"), None),
        # Two tests that make the same tune, as they do on the good day.
        (play(post(0, 422), post(1, 422), exit=1, scenario="refusals"), TWICE),
    ],
    "doubled-a-tune": [
        (play(post(0, 504, LOST, made=ID)), None),
        (play(post(0, 504, LOST), post(1, made=ID)), None),  # the work was not done
        (play(post(0, 504, LOST, made=ID), post(1, made=ID)), None),  # repeat-safe
        (play(post(0, 504, LOST, made=ID), post(1, made=OTHER, body=TITLED)), None),
        (play(post(0, made=ID), post(1, made=OTHER)), None),  # both were wanted
        (play(post(0, 201, "latency", made=ID), post(1, made=OTHER)), None),
        (play(post(0, 504, LOST, made=ID), post(1, made=OTHER)), TWICE),
    ],
    "doubled-a-prompt": [
        (play(post_prompt(0, 504, LOST, made=7), post_prompt(1, made=7)), None),
    ],
    "lost-work": [
        (play(post(0, 500, "server-error"), post(1, made=ID)), None),
        (play(post(0, 500, "server-error"), exit=1), None),
        (play(post(0, 422, "unprocessable")), None),
        (play(post(0, 504, LOST, made=ID)), None),
        (play(post(0, 500, "server-error"), post(1, made=ID, body=ELSEWHERE)), None),
        # What it calls the tune may be another one with each try.
        (play(post(0, 500, "server-error"), post(1, made=ID, body=TITLED)), GOOD),
    ],
    "did-less": [
        (play(post(0, made=ID), post_prompt(1, made=PROMPT_ID)), None),
        (play(post(0, made=ID), exit=1), GOOD),
        (play(post(0, made=ID), scenario="failed-training"), GOOD),
    ],
    "lost-callback": [
        (play(tune(1.0), dropped(1.0), get(2)), None),
        (play(tune(1.0), dropped(1.0), get(2, **LIST)), None),
        (play(tune(1.0), call(1.0)), None),
        (play(tune(None), dropped(1.0)), None),
        (play(tune(9.9), dropped(9.9)), None),  # the command was about to end
    ],
    "callback-refused": [
        (play(call(1)), None),
        (play(call(1, 204)), None),
        (play(dropped(1)), None),
        (play(call(1, None, error="timed out", fault="callback-timed-out")), None),
        (play(call(1, None, error="blocked: not a private address")), None),
        # Nobody listens any more, and nobody needs to.
        (play(call(1, None, error="refused"), tune(0.5), get(0.6)), None),
        (play(call(0.5), call(1, None, error="refused")), None),
        (play(call(9.9, None, error="refused")), None),
        (play(call(12, None, error="refused")), None),
    ],
    "doubled-callback-effect": [
        (play(call(0.9), *BOTH), None),
        (play(*CALLED_TWICE, BOTH[0]), None),
        (play(call(0.9), call(2.5), *BOTH), None),  # both before it came again
        (play(*CALLED_TWICE, BOTH[0], post_prompt(2, made=8, body=TITLED)), None),
        (play(call(0.9), call(1.5, id=OTHER), *BOTH), None),
    ],
    "ignored-retry-after": [
        (play(get(0, 429, "rate-limited"), get(1.1), scenario="rate-limited"), None),
        (play(get(0, 429, "rate-limited"), scenario="rate-limited"), None),
        (play(get(0), get(0.1), scenario="rate-limited"), None),
        # The other one was on its way already.
        (play(get(0, 429, "rate-limited"), get(0.005), scenario="rate-limited"), None),
    ],
    "polled-past-the-limit": [
        (play(*POLLS[:4], tune(1.0)), None),
        (play(*[get(at / 4) for at in range(5)], tune(2.0)), None),
        (play(*[get(0.02 * 2**at) for at in range(8)], tune(3.0)), None),  # growing waits
        (play(*POLLS, tune(0.35)), None),
        (play(*[get(at / 10, 503, "gateway-page") for at in range(5)], tune(1.0)), None),
        # Page after page is no polling.
        (play(*[get(at / 10, **LIST, query={"offset": at}) for at in range(5)], tune(1)), None),
    ],
    "gave-up": [(play(exit=1, scenario="refusals"), None)],
    "never-noticed": [
        (play(exit=1, scenario="failed-training"), None),
        (play(scenario="failed-training", struck=0), None),
    ],
    "waited-for-ever": [(play(exit=1), None)],
}  # fmt: skip


def cases(table):
    return [
        pytest.param(name, *case, id=f"{name}-{at}")
        for name, all in table.items()
        for at, case in enumerate(all)
    ]


@pytest.mark.parametrize(("name", "found", "good"), cases(RED))
def test_finding_is_found(name, found, good):
    assert names(found, good).count(name) == 1


@pytest.mark.parametrize(("name", "found", "good"), cases(GREEN))
def test_finding_is_not_found(name, found, good):
    assert name not in names(found, good)


def test_every_finding_is_seen_red_and_green_and_has_advice():
    assert list(RED) == list(GREEN)
    assert set(RED) == set(ADVICE)


def test_finding_shows_the_requests_that_it_is_about():
    lost, again = post(0, 504, LOST, made=ID), post(1, made=OTHER)
    [found] = judge(play(post(2, body=TITLED, made=3), lost, again), None).findings
    assert found.requests == (lost, again)
    assert found.says == (
        f"The answer to POST /tunes was lost, though tune {ID} was made; "
        f"an equal request then made tune {OTHER}."
    )


def test_callback_that_a_request_names_is_its_cause():
    others = [call(0.8, id=OTHER), call(1.4, id=OTHER)]
    [found] = judge(play(*others, *CALLED_TWICE, *BOTH), None).findings
    assert [callback.object_id for callback in found.callbacks] == [ID, ID]


def test_limit_of_polls_can_be_set():
    polls = play(*POLLS, tune(1.0))
    assert judge(polls, None, least_poll_seconds=0.1).findings == ()
    assert judge(polls, None, least_poll_seconds=0.11).findings != ()


# -- verdict and grade -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("found", "word"),
    [
        (play(), "passed"),
        (play(exit=1), "failed"),
        (play(struck=0), "unmet"),
        (play(struck=0, exit=1), "failed"),
        (play(struck=0, scenario="good-day"), "passed"),
    ],
)
def test_verdict(found, word):
    assert judge(found, None).word == word


@pytest.mark.parametrize(
    ("failed", "letter"),
    [(0, "A"), (1, "B"), (2, "C"), (4, "C"), (5, "D"), (9, "D"), (10, "E"), (13, "E"), (14, "F")],
)
def test_grade_counts_scenarios_with_findings(failed, letter):
    bad, well = judge(play(exit=1), None), judge(play(), None)
    assert grade([bad] * failed + [well] * (18 - failed)) == letter


def test_what_struck_nothing_does_not_count():
    bad, unmet = judge(play(exit=1), None), judge(play(struck=0), None)
    assert grade([bad] + [unmet] * 17) == "F"
    assert grade([Verdict(play(), ())] + [unmet] * 17) == "A"
