"""Finds the target of a run, a URL or the emulator that is started, and its capabilities."""

import ipaddress
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from astria_contracts.client.target import ANSWER_SECONDS, Target, TargetError
from astria_contracts.options import SECOND_KEY, Options
from astria_contracts.spec.document import Document

CAPABILITIES = (
    *("finish", "clock", "idempotency switch", "mock", "faults"),
    *("paid", "second key", "callbacks"),
)
# Flags of the emulator where no target is given: its clock moves only on request.
EMULATOR = [
    *("--clock", "2026-01-01T00:00:00Z", "--train-seconds", "30", "--prompt-seconds", "10"),
    *("--max-file-mb", "4", "--max-body-mb", "20", "--log-level", "error"),
]


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
        # -P: do not import modules from the current folder.
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
    """Ask a server for its capabilities.

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
    """The emulator's description of itself; a public server only has to answer."""
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
        lacks["faults"] = "the target cannot be made to fail"
    if can.get("real_training", True):
        lacks["mock"] = "the target's pictures may differ from run to run"
    if target.avoids_costs:
        lacks["paid"] = "it would cost money, or could not be deleted: --allow-paid allows it"
    if not options.second_key:
        lacks["second key"] = "needs a second account: --second-key"
    if not options.listener_url and not _is_loopback(target.url):
        lacks["callbacks"] = "the target cannot reach this machine's loopback: --listener-url"
    if unknown := {*options.has, *options.lacks} - {*CAPABILITIES}:
        known = ", ".join(CAPABILITIES)
        raise TargetError(f"capability {min(unknown)!r}: expected one of {known}")
    lacks |= dict.fromkeys(options.lacks, "excluded with --lacks")
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
