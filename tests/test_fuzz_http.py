"""Malformed requests to a server, a few; `make fuzz-http` sends 200,000."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests import PATIENCE_SECONDS
from tools.fuzz_http.__main__ import Findings
from tools.fuzz_http.framing import KINDS, Case
from tools.fuzz_http.generator import Generator

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("flags", [[], ["--tls", "--data"]], ids=["plain", "tls"])
def test_server_answers_or_closes_whatever_is_sent(flags: list[str]) -> None:
    command = [sys.executable, "-m", "tools.fuzz_http", "--requests", "160", *flags]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert '"failures": 0' in done.stdout


def answer(status: int, *fields: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} Said", *fields, "", ""]).encode()


WHOLE, ODD = Case(b"", least=1), Case(b"")
ORDERED = Case(b"", 2, 2, ["200", "404"])


@pytest.mark.parametrize(
    ("case", "answers", "has_ended", "found"),
    [
        (WHOLE, answer(200), True, ""),
        (WHOLE, answer(100) + answer(201), True, ""),
        (WHOLE, answer(503, "Retry-After: 1"), True, ""),
        (WHOLE, b"", True, "0 answers"),
        (WHOLE, answer(200), False, "not closed"),
        (WHOLE, answer(500), True, "failed"),
        (WHOLE, answer(503), True, "failed"),
        (ODD, b"", True, ""),
        (ODD, answer(400), True, ""),
        (ODD, answer(400) + answer(200), True, "2 answers"),
        (ODD, b"", False, "not closed"),
        (Case(b"", may_wait=True), b"", False, ""),
        (ORDERED, answer(200) + answer(404), True, ""),
        (ORDERED, answer(404) + answer(200), True, "not ['200', '404']"),
        (ORDERED, answer(200), True, "1 answers"),
    ],
)
def test_what_must_not_be_answered_is_found(
    case: Case, answers: bytes, has_ended: bool, found: str
) -> None:
    findings = Findings()
    findings.check(case, answers, 0.0, has_ended=has_ended)
    assert len(findings.failures) == bool(found)
    assert all(failure.startswith(found) for failure in findings.failures)


def test_the_same_seed_sends_the_same_bytes() -> None:
    one, same, other = Generator(1), Generator(1), Generator(2)
    sent = [one.case() for _ in range(200)]
    assert sent == [same.case() for _ in range(200)]
    assert sent != [other.case() for _ in range(200)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_kind_says_what_may_come_back(kind) -> None:
    draw = random.Random(0)
    for case in (kind(draw) for _ in range(100)):
        assert case.sent
        assert case.least <= case.most
        # A connection whose end the server cannot see is one that it must end by itself.
        assert case.half_close or case.least or kind.__name__ == "two_framings"
