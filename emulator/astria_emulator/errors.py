"""All our exceptions, in three families: set-up, the caller's, and the backend's."""

import errno
import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from traceback import format_tb
from typing import Any

NAME = re.compile("[a-z0-9_]{1,40}")  # of the contract's fields
DISK_PROBLEMS: Mapping[int | None, str] = {
    errno.ENOSPC: "The disk is full.",
    errno.EDQUOT: "The disk's quota is used up.",
    errno.EROFS: "The disk is read-only.",
}


class SetupError(Exception):
    """The program cannot start; `problems` lists all that is wrong."""

    def __init__(self, subject: str, problems: Sequence[str]):
        self.problems = tuple(problems)
        super().__init__(f"{subject}:" + "".join(f"\n  - {problem}" for problem in problems))


class ApiError(Exception):
    """An error answer: `{"status": 404, "error": "Not Found"}` unless a subclass differs."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, error: str | None = None, *, headers: Mapping[str, str] | None = None):
        self.error = error or self.status.phrase
        self.headers = dict(headers or {})
        super().__init__(self.error)

    @property
    def body(self) -> Any:
        return {"status": self.status.value, "error": self.error}

    @property
    def explanation(self) -> str:
        """What is wrong, for the log and the journal; not on the wire."""
        return self.error


class BadRequest(ApiError):
    status = HTTPStatus.BAD_REQUEST


class Unauthorized(ApiError):
    """Plain text, as Rails' token authentication answers."""

    status = HTTPStatus.UNAUTHORIZED

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": 'Token realm="Application"'})

    @property
    def body(self) -> str:
        return "HTTP Token: Access denied.\n"

    @property
    def explanation(self) -> str:
        return (
            "the key is no account's: send `Authorization: Bearer sd_...`; --keys names accounts, "
            "and --assume keys=any takes every key"
        )


class Forbidden(ApiError):
    """Only /_emulator/ answers with it."""

    status = HTTPStatus.FORBIDDEN


class NotFound(ApiError):
    status = HTTPStatus.NOT_FOUND


class Conflict(ApiError):
    """Only /_emulator/ answers with it."""

    status = HTTPStatus.CONFLICT


class TooLarge(ApiError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE

    @property
    def body(self) -> Any:
        return {"status": 413, "error": "Payload Too Large"}


class UnsupportedMediaType(ApiError):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Unavailable(ApiError):
    """The database does not answer, the disk takes nothing, or too much waits already."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class Degraded(Unavailable):
    """Only the health of the server is answered with it."""

    def __init__(self, problems: Sequence[str]):
        self.problems = list(problems)
        super().__init__()

    @property
    def body(self) -> Any:
        return {"status": "degraded", "problems": self.problems}


class Message(str):
    """A message in Rails' wording, with an explanation for the log, not for the wire."""

    explanation: str

    def __new__(cls, text: str, explanation: str = "") -> "Message":
        self = super().__new__(cls, text)
        self.explanation = explanation
        return self


class Invalid(ApiError):
    """422: messages by field, as Rails' errors hash; those of no field are under `base`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, messages: Mapping[str, Sequence[str]]):
        self.messages = {field: list(texts) for field, texts in messages.items()}
        super().__init__()

    @property
    def body(self) -> Any:
        return self.messages

    @property
    def explanation(self) -> str:
        """Every message with the value and what would be right, for the log."""
        return "; ".join(
            f"{_plain(field)} {text}"
            + (f" ({text.explanation})" if isinstance(text, Message) and text.explanation else "")
            for field, texts in self.messages.items()
            for text in texts
        )


def _plain(field: str) -> str:
    """Return a field for the log, without keys that callers invent: they may be anything."""
    return ".".join(part if NAME.fullmatch(part) else "(a key)" for part in field.split("."))


def trace_of(error: BaseException) -> str:
    """Return an exception's traceback without its text, which may contain a prompt or a secret."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    earlier = f"{trace_of(before)}\nand then\n" if before else ""
    return f"{earlier}{''.join(format_tb(error.__traceback__))}{type(error).__name__}"


def log_failure(log: logging.Logger, doing: str, error: Exception) -> None:
    """Log the error of something that is tried again, with its traceback where it is unexpected."""
    if not isinstance(error, Unavailable):  # which is logged where it is noticed
        log.error(doing, exc_info=error)


class WorkLost(Exception):
    """The worker died or ran out of memory. The work may be tried again."""


class DiskUnavailable(WorkLost):
    """The disk is full or read-only. The work waits for it; this does not count as a try."""


def disk_problem(number: int | None) -> str | None:
    """Return a sentence for an errno that ends when somebody makes room; None for any other."""
    return DISK_PROBLEMS.get(number)


class Closing(WorkLost):
    """The server stops. The work continues at its next start, and this does not count as a try."""


class Cancelled(Exception):
    """The work was asked to stop, and has stopped."""


class BackendError(Exception):
    """The work failed for good. `str(error)` is a sentence for the end user."""
