"""The server that is tested: where it is, what it can do, and what it must be spared."""

import ipaddress
import itertools
import json
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from astria_contracts.client import checks
from astria_contracts.client.costs import places
from astria_contracts.client.coverage import Meter
from astria_contracts.options import SECOND_KEY, Options
from astria_contracts.spec.document import Document, Operation

CAPABILITIES = (
    *("finish", "clock", "idempotency switch", "mock", "faults"),
    *("paid", "second key", "callbacks"),
)
ANSWER_SECONDS = 120.0  # that an answer, or the start of the emulator, may take
RETRIES, RETRY_SECONDS = 5, 10.0
# The emulator as it is started where no target is given: on a clock that only moves when asked.
EMULATOR = [
    *("--clock", "2026-01-01T00:00:00Z", "--train-seconds", "30", "--prompt-seconds", "10"),
    *("--max-file-mb", "4", "--max-body-mb", "20", "--log-level", "error"),
]


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


@contextmanager
def opened(options: Options, document: Document) -> Iterator[Target]:
    """The target of a run, which leaves it as it was.

    Raises TargetError.
    """
    if options.target:
        target = describe(options, options.target.rstrip("/"), document)
        yield target
        target.delete_all()
        return
    with emulator() as url:
        own = Options(**{**vars(options), "second_key": options.second_key or SECOND_KEY})
        yield describe(own, url, document)


@contextmanager
def emulator(*flags: str) -> Iterator[str]:
    """The emulator on a free port, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "url"
        # -P: modules in the current folder are not meant.
        command = [sys.executable, "-P", "-m", "astria_emulator", "serve", "--port", "0"]
        process = subprocess.Popen(  # noqa: S603
            [*command, "--ready-file", str(ready), *EMULATOR, *flags], stdout=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + ANSWER_SECONDS
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise TargetError("the emulator could not be started: give --target URL")
                time.sleep(0.01)
            yield ready.read_text().strip()
        finally:
            process.terminate()
            process.wait()


def describe(options: Options, url: str, document: Document) -> Target:
    """Ask a server what it can do.

    Raises TargetError.
    """
    try:
        host = urlsplit(url).hostname
    except ValueError:  # a broken IPv6 address
        host = None
    if not host or not url.startswith(("http://", "https://")):
        raise TargetError(f"--target {url!r}: expected http://HOST or https://HOST")
    if options.rate <= 0:
        raise TargetError(f"--rate {options.rate}: expected more than 0 requests a second")
    is_public = not _is_private(host)
    if is_public and options.branch != "fast" and not options.allow_paid:
        raise TargetError(f"branch {options.branch} at {host} costs money: --allow-paid allows it")
    tag = f"{secrets.token_hex(3)}-" if options.target else ""
    target = Target(options, url, document, is_public=is_public, tag=tag)
    target.info = _info(target)
    target.lacks = _lacks(target)
    return target


def _info(target: Target) -> Mapping[str, Any]:
    """What an emulator says of itself; a public server only has to answer."""
    try:
        answer = target.send("GET", "/") if target.is_public else target.control("GET", "info")
    except requests.RequestException as error:
        raise TargetError(f"{target.url} does not answer: {type(error).__name__}") from None
    if target.is_public or answer.status_code != 200:
        return {}
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _lacks(target: Target) -> dict[str, str]:
    """Each capability that is missing, and why."""
    options, can = target.options, target.info.get("capabilities", {})
    lacks = {}
    if not can.get("finish"):
        lacks["finish"] = "the target has no /_emulator/finish"
    if can.get("clock") != "virtual":
        lacks["clock"] = "the target's clock cannot be moved"
    if not can.get("idempotency_switch"):
        lacks["idempotency switch"] = "the target's account setting cannot be changed from here"
    if not can.get("faults"):
        lacks["faults"] = "the target cannot be told to fail"
    if can.get("real_training", True):
        lacks["mock"] = "the target's pictures may differ from run to run"
    if target.spares:
        lacks["paid"] = "it would cost money, or could not be deleted: --allow-paid allows it"
    if not options.second_key:
        lacks["second key"] = "needs a second account: --second-key"
    if not options.listener_url and not _is_loopback(target.url):
        lacks["callbacks"] = "the target cannot reach this machine's loopback: --listener-url"
    if unknown := {*options.has, *options.lacks} - {*CAPABILITIES}:
        known = ", ".join(CAPABILITIES)
        raise TargetError(f"capability {min(unknown)!r}: expected one of {known}")
    lacks |= dict.fromkeys(options.lacks, "the run was told that the target lacks it")
    return {name: why for name, why in lacks.items() if name not in options.has}


def _is_private(host: str) -> bool:
    """Whether every address of a name is of this machine or of a private network."""
    return all(one.is_private or one.is_loopback for one in _addresses(host))


def _is_loopback(url: str) -> bool:
    return all(one.is_loopback for one in _addresses(urlsplit(url).hostname or ""))


def _addresses(host: str) -> list[Any]:
    """Raises TargetError."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        raise TargetError(f"there is no host {host!r}") from None
    known = [ipaddress.ip_address(str(one).partition("%")[0]) for one in found]
    return [getattr(one, "ipv4_mapped", None) or one for one in known]
