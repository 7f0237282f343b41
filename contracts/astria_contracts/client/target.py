"""The server that is tested: sends requests to it, and keeps what a run sees and creates."""

import itertools
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests

from astria_contracts.client import checks
from astria_contracts.client.costs import created_paths
from astria_contracts.client.coverage import Coverage
from astria_contracts.options import Options
from astria_contracts.spec.document import Document, Operation

ANSWER_SECONDS = 120.0  # for an answer, and for the emulator to start
RETRIES, RETRY_SECONDS = 5, 10.0


class TargetError(Exception):
    """The run cannot begin."""


@dataclass(frozen=True)
class Answer:
    """What a server answered, whichever library has sent the request."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, as the report shows them."""

    operation: str
    curl: str
    status: int
    answer: str


@dataclass(repr=False)  # it has keys
class Target:
    """A server of this API.

    `lacks` gives a reason for each capability that it does not have. `exchanges` are those of the
    test that runs.
    """

    options: Options
    url: str
    document: Document
    info: Mapping[str, Any] = field(default_factory=dict)
    lacks: dict[str, str] = field(default_factory=dict)
    is_public: bool = False
    exchanges: list[Exchange] = field(default_factory=list)
    operations: set[str] = field(default_factory=set)
    created: list[tuple[str, str]] = field(
        default_factory=list
    )  # key and path of each object of this run
    undeleted: list[str] = field(default_factory=list)  # paths of what could not be deleted
    tag: str = ""  # in titles; no other run at the same server has it
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _next: float = 0.0

    def __post_init__(self) -> None:
        self.coverage = Coverage(self.document)
        self.keys = {"first": self.options.key, "second": self.options.second_key}
        self._lock = threading.Lock()
        self._local = threading.local()

    @property
    def _session(self) -> requests.Session:
        """The connections of this thread."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = self.is_public  # proxies
            self._local.session.auth = lambda request: request  # no .netrc
        session: requests.Session = self._local.session
        return session

    @property
    def avoids_costs(self) -> bool:
        """Whether nothing may be created here that costs money or cannot be deleted."""
        return self.is_public and not self.options.allow_paid

    def send(self, method: str, path: str, **more: Any) -> requests.Response:
        """Send a request; to a public server not faster than `rate` allows."""
        for _ in range(RETRIES):
            self.pace()
            url = path if path.startswith(("http://", "https://")) else self.url + path
            answer = self._session.request(
                method, url, timeout=ANSWER_SECONDS, allow_redirects=False, **more
            )
            if answer.status_code != 429 or not self.is_public:
                break
            wait = answer.headers.get("Retry-After", "")
            time.sleep(float(wait) if wait.isdecimal() else RETRY_SECONDS)
        return answer

    def control(self, method: str, name: str, **more: Any) -> requests.Response:
        """Send a request to the emulator's own `/_emulator/`."""
        token = self.options.control_token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.send(method, f"/_emulator/{name}", headers=headers, **more)

    def pace(self) -> None:
        """Wait until `rate` allows another request to a public server."""
        if self.is_public:
            with self._lock:
                wait = self._next - time.monotonic()
                self._next = max(self._next, time.monotonic()) + 1 / self.options.rate
            time.sleep(max(0.0, wait))

    def record(self, operation: Operation, curl: str, answer: Answer, **request: Any) -> list[str]:
        """Keep an exchange and count what it covers; returns what is wrong with the answer."""
        text = answer.content[:500].decode(errors="replace")
        self.exchanges.append(Exchange(operation.id, curl, answer.status, text))
        self.operations.add(operation.id)
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        self.coverage.record(operation, answer.status, kind=kind, **request)
        wrong = checks.problems(
            self.document, operation, answer.status, answer.headers, answer.content
        )
        return [f"{operation} answered {answer.status}: {problem}" for problem in wrong]

    def note_created(self, key: str, operation: Operation, status: int, content: bytes) -> None:
        """Note the objects that an answer has created: they are deleted at the end."""
        if 200 <= status < 300 and content.startswith(b"{"):
            with suppress(ValueError, KeyError):
                found = created_paths(operation, json.loads(content))
                self.created += [(key, path) for path in found]

    def start_test(self) -> None:
        """Forget the exchanges of the test before."""
        self.exchanges.clear()
        self.operations.clear()

    def delete_all(self) -> None:
        """Delete what the run has created, the newest first, and note what cannot be deleted."""
        while self.created:
            key, path = self.created.pop()
            if path.startswith(("/packs", "/workspaces")):
                self.undeleted.append(path)  # there is no operation for that
                continue
            headers = {"Authorization": f"Bearer {key}"}
            try:
                status = self.send("DELETE", path, headers=headers).status_code
            except requests.RequestException:
                status = 0
            if status not in (200, 204, 404):
                self.undeleted.append(path)
