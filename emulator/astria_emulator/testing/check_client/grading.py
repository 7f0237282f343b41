"""Judge plays: the findings of each, and the grade of a client."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from astria_emulator.testing.check_client.callback_findings import (
    callback_refused,
    doubled_callback_effect,
    lost_callback,
)
from astria_emulator.testing.check_client.play import Finding, Play
from astria_emulator.testing.check_client.request_findings import (
    did_less,
    doubled,
    ignored_retry_after,
    lost_work,
    polled_past_the_limit,
    retried_a_422,
)

LEAST_POLL_SECONDS = 0.2
# The share of scenarios with findings, at most, for each letter; F is worse.
GRADES: Mapping[str, float] = {"A": 0.0, "B": 0.1, "C": 0.25, "D": 0.5, "E": 0.75}
HOW = (
    "A: no scenario has a finding; B: at most one in ten has; C: one in four; D: half; "
    "E: three in four; F: more."
)
# For each finding: what to do about it.
ADVICE: Mapping[str, str] = {
    "retried-a-422": "What was refused as wrong is wrong the next time as well: read the messages, "
    "and stop.",
    "doubled-a-tune": "When an answer is lost, look for the tune by its title before it is made "
    "again; or let Astria make your account's requests repeat-safe.",
    "doubled-a-prompt": "When an answer is lost, look in the list of the tune's prompts before it "
    "is made again; or let Astria make your account's requests repeat-safe.",
    "lost-work": "After 429, 5xx or no answer, try again with growing waits, or end with an error.",
    "did-less": "Look in the end whether everything that was wanted is there.",
    "lost-callback": "Callbacks are sent once, and may be lost: read what has not called back, "
    "with growing waits.",
    "callback-refused": "Answer each callback at once with 200, whatever is in it, and do the "
    "work afterwards.",
    "doubled-callback-effect": "A callback may come twice: remember which objects were dealt with.",
    "ignored-retry-after": "Wait as long as the header Retry-After says.",
    "polled-past-the-limit": "Astria answers 429 to those who poll too often, and does not say "
    "how often that is: wait for the callback, and poll with growing waits.",
    "gave-up": "All that went wrong here passes: try again.",
    "never-noticed": "Nobody got what was asked for: read user_error, trained_at, expires_at and "
    "the statuses of answers, and end with an error.",
    "waited-for-ever": "Give up at some time, with an error. (A client that does so, but only "
    "after more than --timeout seconds, looks the same.)",
}


@dataclass(frozen=True)
class Verdict:
    """A play and its findings. `word`: passed, failed, or unmet where no fault was injected."""

    play: Play
    findings: Sequence[Finding]

    @property
    def word(self) -> str:
        if self.findings:
            return "failed"
        return "passed" if self.play.struck or not self.play.scenario.rules else "unmet"


def judge(
    play: Play, good: Play | None, *, least_poll_seconds: float = LEAST_POLL_SECONDS
) -> Verdict:
    """Return the verdict on a play.

    good: the play of the good day; None if this is it.
    """
    return Verdict(play, tuple(_findings(play, good, least_poll_seconds)))


def _findings(play: Play, good: Play | None, least_poll_seconds: float) -> Iterator[Finding]:
    yield from ended_wrongly(play, good)
    yield from retried_a_422(play, good)
    yield from doubled(play, good)
    yield from lost_work(play, good)
    yield from did_less(play, good)
    yield from lost_callback(play, good)
    yield from callback_refused(play, good)
    yield from doubled_callback_effect(play, good)
    yield from ignored_retry_after(play, good)
    yield from polled_past_the_limit(play, good, least_poll_seconds)


def ended_wrongly(play: Play, good: Play | None) -> Iterator[Finding]:
    """Find an exit that does not fit how the scenario ends."""
    ends = play.scenario.ends
    if play.exit is None:
        says = f"The command had to be ended after {play.seconds:.0f} s."
        yield Finding("waited-for-ever", play.name, says)
    elif play.exit != 0 and ends == "well":
        says = f"The command failed with {play.exit}, though everything could be had in the end."
        yield Finding("gave-up", play.name, says)
    elif play.exit == 0 and ends == "badly" and play.struck:
        says = "The command ended with 0, though it did not get what it asked for."
        yield Finding("never-noticed", play.name, says)


def grade(verdicts: Sequence[Verdict]) -> str:
    """Return a letter for the share of scenarios with findings; unmet scenarios do not count."""
    graded = [verdict for verdict in verdicts if verdict.word != "unmet"]
    share = sum(verdict.word == "failed" for verdict in graded) / max(1, len(graded))
    return next((letter for letter, limit in GRADES.items() if share <= limit), "F")
