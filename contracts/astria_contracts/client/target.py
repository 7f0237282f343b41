"""The server that is tested: how it is asked, and what a run notes and spares."""

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
from astria_contracts.client.costs import places
from astria_contracts.client.coverage import Meter
from astria_contracts.options import Options
from astria_contracts.spec.document import Document, Operation

ANSWER_SECONDS = 120.0  # that an answer, or the start of the emulator, may take
RETRIES, RETRY_SECONDS = 5, 10.0


class TargetError(Exception):
    """The run cannot begin."""


@dataclass(frozen=True)
class Answer:
    """What a server answered, however it was asked."""

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


@dataclass(repr=False)  # it knows keys
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
    made: list[tuple[str, str]] = field(default_factory=list)  # key and path, for the end
    left: list[str] = field(default_factory=list)  # paths of what could not be deleted
    tag: str = ""  # of titles; unlike those of other runs at the same server
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _next: float = 0.0

    def __post_init__(self) -> None:
        self.meter = Meter(self.document)
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
    def spares(self) -> bool:
        """Whether nothing may be made here that costs money or cannot be deleted."""
        return self.is_public and not self.options.allow_paid

    def send(self, method: str, path: str, **more: Any) -> requests.Response:
        """Send a request; to a public server not faster than it may be asked."""
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
        """Ask the emulator's own surface."""
        token = self.options.control_token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.send(method, f"/_emulator/{name}", headers=headers, **more)

    def pace(self) -> None:
        """Wait until a public server may be asked again."""
        if self.is_public:
            with self._lock:
                wait = self._next - time.monotonic()
                self._next = max(self._next, time.monotonic()) + 1 / self.options.rate
            time.sleep(max(0.0, wait))

    def note(self, operation: Operation, curl: str, answer: Answer, **request: Any) -> list[str]:
        """Keep and measure an exchange; returns what is wrong with the answer."""
        text = answer.content[:500].decode(errors="replace")
        self.exchanges.append(Exchange(operation.id, curl, answer.status, text))
        self.operations.add(operation.id)
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        self.meter.note(operation, answer.status, kind=kind, **request)
        wrong = checks.problems(
            self.document, operation, answer.status, answer.headers, answer.content
        )
        return [f"{operation} answered {answer.status}: {problem}" for problem in wrong]

    def remember(self, key: str, operation: Operation, status: int, content: bytes) -> None:
        """Note what was made, for the end."""
        if 200 <= status < 300 and content.startswith(b"{"):
            with suppress(ValueError, KeyError):
                found = places(operation, json.loads(content))
                self.made += [(key, path) for path in found]

    def begin(self) -> None:
        """A test begins."""
        self.exchanges.clear()
        self.operations.clear()

    def delete_all(self) -> None:
        """Delete what was made, the newest first, and note what is left."""
        while self.made:
            key, path = self.made.pop()
            if path.startswith(("/packs", "/workspaces")):
                self.left.append(path)  # there is no operation for that
                continue
            headers = {"Authorization": f"Bearer {key}"}
            try:
                status = self.send("DELETE", path, headers=headers).status_code
            except requests.RequestException:
                status = 0
            if status not in (200, 204, 404):
                self.left.append(path)
