"""Faults of answers: what a client gets when a fault is injected into its request."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from werkzeug.wrappers import Response

from astria_emulator.faults.kinds import CHANGING, EARLY, LATENCY
from astria_emulator.faults.rules import Faults, InjectedFault
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
class AnswerFaults:
    """The faults of one request; each may be missing.

    `early`: callbacks come before the answer. `other`: the fault that changes the answer.
    """

    latency: InjectedFault | None = None
    early: InjectedFault | None = None
    other: InjectedFault | None = None

    @property
    def names(self) -> list[str]:
        """The faults' names, for a header and the journal."""
        faults = (self.latency, self.early, self.other)
        return [injected.rule.fault for injected in faults if injected]

    @property
    def does_work(self) -> bool:
        """Whether the requested work is done, whatever the answer says."""
        return self.other is None or bool(self.other["work_done"])

    def answer(
        self, connection: Connection, make: Callable[[], Response], complete: Callable[[], None]
    ) -> Response:
        """Answer a request with these faults.

        make: does the request's work and answers. `complete`: completes the jobs that it has
        scheduled, with their callbacks.
        """
        if self.latency:
            connection.wait(self.latency.seconds())
        other = self.other
        response = make() if self.does_work else Response()
        if self.early:
            complete()
        if other:
            if other.rule.fault == RESET:
                connection.reset()  # and the answer is not sent
            else:
                response = change_response(response, other)
        response.headers[HEADER] = ", ".join(self.names)
        return response


def inject_into_answer(
    faults: Faults, operation: str, has_key: Callable[[str], bool]
) -> AnswerFaults | None:
    """Choose the faults of a request of an operation; None where there are none.

    has_key: whether the request has an API key.
    """
    if not faults:
        return None
    injected = AnswerFaults(
        latency=faults.inject({LATENCY}, operation, has_key),
        early=faults.inject({EARLY}, operation, has_key),
        other=faults.inject(CHANGING, operation, has_key),
    )
    return injected if injected.names else None


def change_response(response: Response, injected: InjectedFault) -> Response:
    """Return the response that is sent in place of another; that one may be changed itself."""
    fault = injected.rule.fault
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
        status = injected["status"]
        page = PAGE.format(status, HTTPStatus(status).phrase)
        return Response(page, status, content_type="text/html")
    if fault == "unprocessable":
        return _json(422, injected["messages"])
    status = STATUS.get(fault, 500)
    headers = {"Retry-After": str(injected["retry_after"])} if fault == "rate-limited" else {}
    body = {"status": status, "error": HTTPStatus(status).phrase}
    return _json(status, body, headers)


def _json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, headers or {}, content_type=JSON)
