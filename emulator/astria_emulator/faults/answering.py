"""Faults of answers: what becomes of a request that is struck."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from werkzeug.wrappers import Response

from astria_emulator.faults.kinds import EARLY, LATENCY, SPOILING
from astria_emulator.faults.rules import Faults, Struck
from astria_emulator.request.connection import Connection
from astria_emulator.spec.openapi import JSON

HEADER = "X-Astria-Emulator-Fault"
RESET = "connection-reset"
PAGE = (
    "<html>\r\n<head><title>{0} {1}</title></head>\r\n<body>\r\n"
    "<center><h1>{0} {1}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
STATUS = {"rate-limited": 429, "server-error": 500, "gateway-timeout": 504}


@dataclass(frozen=True)
class Blow:
    """What strikes one request; each part may be missing."""

    latency: Struck | None = None
    early: Struck | None = None
    other: Struck | None = None

    @property
    def names(self) -> list[str]:
        """The faults, for a header and the journal."""
        found = (self.latency, self.early, self.other)
        return [struck.rule.fault for struck in found if struck]

    @property
    def does_work(self) -> bool:
        """Whether what was asked for is done, whatever is answered."""
        return self.other is None or bool(self.other["work_done"])

    def answer(
        self, connection: Connection, make: Callable[[], Response], hasten: Callable[[], None]
    ) -> Response:
        """Make an answer as struck as this is.

        make: does the work. `hasten`: completes it, with its callbacks.
        """
        if self.latency:
            connection.wait(self.latency.seconds())
        other = self.other
        response = make() if self.does_work else Response()
        if self.early:
            hasten()
        if other:
            if other.rule.fault == RESET:
                connection.reset()  # and what is answered is not sent
            else:
                response = spoilt(response, other)
        response.headers[HEADER] = ", ".join(self.names)
        return response


def blow(faults: Faults, operation: str, has_key: Callable[[str], bool]) -> Blow | None:
    """What strikes a request of an operation; None for nothing."""
    if not faults:
        return None
    parts = ({LATENCY}, {EARLY}, SPOILING)
    found = Blow(*(faults.strike(names, operation, has_key) for names in parts))
    return found if found.names else None


def spoilt(response: Response, struck: Struck) -> Response:
    """What is sent in the place of an answer."""
    fault = struck.rule.fault
    response.direct_passthrough = False  # of a file
    if fault == "cut-body":
        whole = response.get_data()
        response.set_data(whole[: len(whole) // 2])
        response.headers["Content-Length"] = str(max(len(whole), 1))
        return response
    if fault == "malformed-json":
        whole = response.get_data()
        response.set_data(whole[: len(whole) // 2] or b"{")
        return response
    if fault == "gateway-page":
        status = struck["status"]
        page = PAGE.format(status, HTTPStatus(status).phrase)
        return Response(page, status, content_type="text/html")
    if fault == "unprocessable":
        return _json(422, struck["messages"])
    status = STATUS.get(fault, 500)
    more = {"Retry-After": str(struck["retry_after"])} if fault == "rate-limited" else {}
    told = {"status": status, "error": HTTPStatus(status).phrase}
    return _json(status, told, more)


def _json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, headers or {}, content_type=JSON)
