"""Send malformed and odd requests to a server, plain or over TLS, and check every answer.

    python -m tools.fuzz_http --requests 100000 [--tls] [--data] [--seed 0]

Each connection says how many answers may come back: one to a request that is whole, in order to
those that are pipelined, and no second one to what is ambiguous. No answer is a 5xx, but for 503
with Retry-After; the server answers or closes, and none takes long. The same seed sends the same
bytes. Ends with 0 and a summary, or with 1 and the bytes that did it.
"""

import argparse
import json
import re
import socket
import ssl
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tools.crash.servers import Server, free_port
from tools.fuzz_http.framing import Case
from tools.fuzz_http.generator import Generator
from tools.soak import resident_mb

THREADS = 8
ANSWER_SECONDS = 60.0  # a busy machine
SILENT_SECONDS = 0.3  # after which a request that may be unfinished is given up
MOST_MB = 600.0
MOST_FAILURES = 20
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@dataclass
class Findings:
    """What the answers were; `failures`: those that must not be, with their requests."""

    statuses: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def check(self, case: Case, answer: bytes, seconds: float, *, has_ended: bool) -> None:
        """has_ended: the server has closed the connection."""
        self.slowest = max(self.slowest, seconds)
        finals = [s for s in (match[1].decode() for match in STATUS.finditer(answer)) if s != "100"]
        self.statuses[finals[0] if finals else "none"] += 1
        told = b"retry-after:" in answer.lower()
        if any(status >= "500" and not (status == "503" and told) for status in finals):
            problem = "failed"
        elif not case.least <= len(finals) <= case.most:
            problem = f"{len(finals)} answers, not {case.least} to {case.most}"
        elif case.statuses and finals != list(case.statuses):
            problem = f"not {list(case.statuses)}"
        elif not has_ended and not case.may_wait:
            problem = "not closed"
        else:
            return
        self.failures.append(f"{problem}, {finals}: {case.sent[:2000]!r} -> {answer[:500]!r}")


def exchange(address: tuple[str, int], case: Case, context: Any) -> tuple[bytes, bool]:
    """Send it on a connection of its own; return all that comes back, and whether it was closed."""
    answer = b""
    with ExitStack() as stack:
        connection: socket.socket = stack.enter_context(
            socket.create_connection(address, timeout=ANSWER_SECONDS)
        )
        if context:
            connection = stack.enter_context(context.wrap_socket(connection))
        with suppress(ConnectionError, ssl.SSLError):
            connection.sendall(case.sent)
            if case.half_close:  # of TLS, too, without its own good-bye
                socket.socket.shutdown(connection, socket.SHUT_WR)
        connection.settimeout(SILENT_SECONDS if case.may_wait else ANSWER_SECONDS)
        try:
            while data := connection.recv(65536):
                answer += data
        except TimeoutError:
            return answer, False
        except (ConnectionError, ssl.SSLError, OSError):
            pass
    return answer, True


def cases(seed: int, count: int) -> Iterator[Case]:
    generator = Generator(seed)
    return (generator.case() for _ in range(count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--data", action="store_true", help="on SQLite instead of in memory")
    options = parser.parse_args()
    findings, lock, context = Findings(), threading.Lock(), None
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = ["--log-level", "error", "--train-seconds", "0", "--prompt-seconds", "0"]
        settings += ["--data", str(root / "data")] if options.data else []
        if options.tls:
            settings += ["--tls", "--tls-dir", str(root / "tls")]
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        server = Server(free_port(), settings, root, tls=options.tls)
        stack.callback(server.kill)
        address = "127.0.0.1", int(server.url.rpartition(":")[2])

        def work(seed: int) -> None:
            for case in cases(seed, options.requests // THREADS):
                begun = time.monotonic()
                answer, has_ended = exchange(address, case, context)
                with lock:
                    seconds = time.monotonic() - begun
                    findings.check(case, answer, seconds, has_ended=has_ended)
                    if len(findings.failures) >= MOST_FAILURES:
                        return

        begun = time.monotonic()
        threads = [
            threading.Thread(target=work, args=[options.seed * THREADS + at])
            for at in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begun
        if not requests.get(f"{server.url}/_emulator/health", timeout=60, verify=False).ok:
            findings.failures.append("it is not healthy afterwards")
        if (megabytes := resident_mb(server.pid)) > MOST_MB:
            findings.failures.append(f"it has {megabytes:.0f} MB of memory afterwards")
    summary = {
        "requests": findings.statuses.total(),
        "statuses": dict(sorted(findings.statuses.items())),
        "seconds": round(seconds),
        "slowest": round(findings.slowest, 2),
        "MB": round(megabytes),
        "failures": len(findings.failures),
    }
    print(json.dumps(summary))
    if findings.failures:
        raise SystemExit("\n".join(findings.failures))


if __name__ == "__main__":
    main()
