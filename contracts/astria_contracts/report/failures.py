"""Why a property has failed or was skipped, in words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import core
from hypothesis.vendor.pretty import RepresentationPrinter
from schemathesis.generation import hypothesis as schemathesis_hypothesis

LONGEST = 4000  # characters of a reason or a case


def skip_reason(report: pytest.TestReport) -> str:
    long: Any = report.longrepr
    return (str(long[2]) if isinstance(long, tuple) else str(long)).removeprefix("Skipped: ")


def leaves(error: BaseException | None) -> Iterator[BaseException]:
    """What has failed: hypothesis and schemathesis raise several failures as a group."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from leaves(one)
    elif error is not None:
        yield error


def messages(error: BaseException | None) -> str:
    """The messages of a failure."""
    texts = [message(one) for one in leaves(error)]
    if len(texts) > 1:
        texts = [f"{number}. {text}" for number, text in enumerate(texts, 1)]
    return "\n".join(texts)[:LONGEST]


def message(error: BaseException) -> str:
    """A message; that of an error which no assertion has raised says what it is, and where."""
    text = str(error).strip()
    if isinstance(error, AssertionError | pytest.fail.Exception) and text:
        return text
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    at = f" ({Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno})" if frame else ""
    return f"{type(error).__name__}: {text}".removesuffix(": ") + at


def smallest_cases(error: BaseException | None) -> str:
    """The smallest cases that fail, as hypothesis notes them with each error."""
    cases = ["\n".join(getattr(one, "__notes__", ())) for one in leaves(error)]
    return "\n\n".join(filter(None, cases))[:LONGEST]


def let_hypothesis_print() -> None:
    """Let hypothesis print the values of a case: schemathesis has taken that away, for speed."""
    schemathesis_hypothesis.setup()  # it does so once, and would later
    core.RepresentationPrinter = RepresentationPrinter  # type: ignore[attr-defined]
