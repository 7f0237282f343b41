"""Send malformed and odd requests to a server, plain or over TLS, and check every answer.

    python -m tools.fuzz_http --requests 100000 [--tls] [--data] [--seed 0]

A request whose framing is whole must get one answer, and no second one; the others one or none.
No answer is a 5xx, but for 503 with Retry-After, and none takes long. The same seed sends the same
bytes. Ends with 0 and a summary, or with 1 and the bytes that did it.
"""

import argparse
import json
import random
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

from astria_emulator.spec.loading import control_contract
from astria_emulator.spec.openapi import Spec, default_path
from tools.crash.servers import Server, free_port
from tools.soak import resident_mb

THREADS = 8
ANSWER_SECONDS = 60.0  # a busy machine
SILENT_SECONDS = 0.3  # after which a request that may be unfinished is given up
MOST_MB = 600.0
MOST_FAILURES = 20
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
# What would make the server fail on purpose, or wait.
LEFT_OUT = frozenset({"add_fault", "play_scenario", "finish", "advance_clock"})
# fmt: off
WORDS = (
    "tune", "prompt", "tune[title]", "tune[images][]", "text", "id", "0", "-1", "9" * 30, "1e999",
    "null", "true", "[]", "{}", "[" * 40, "]", "\\u0000", "\x00", "\ufeff", "é", "💥", "%", "%00",
    "%zz", "..", "/", "&", "=", "[", "[a]", ";", "'", '"', "\\", "<lora:5000001:1>", "a" * 3000,
    "5000001", "45000001", "690204", "flux1", "2026-01-01T00:00:00Z", "NaN", "Infinity", "\ud800",
)
FIELDS = (
    "title", "name", "branch", "model_type", "base_tune_id", "steps", "token", "callback", "text",
    "prompts_attributes", "images", "image_urls", "characteristics", "num_images", "w", "h", "ar",
    "seed", "cfg_scale", "input_image_url", "video_model", "style", "color_grading", "auto_extend",
)
CREATIONS = (("POST", "/tunes"), ("POST", "/tunes/690204/prompts"))
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "FOO", "get")
TYPES = (
    "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b",
    "multipart/form-data", "multipart/form-data; boundary=", "text/plain", "application/zip", "",
    "application/json; charset=utf-16", "image/png", ";",
    "multipart/form-data; boundary=" + "b" * 99,
)
HEADERS = (
    "Authorization: Bearer sd_fuzz", "Authorization: Bearer ", "Authorization: \xff",
    "Expect: 100-continue", "X-Workspace-Id: 1", "X-Workspace-Id: all", "Range: bytes=0-",
    "Range: bytes=9-1,,", "Cookie: a=b", "If-None-Match: *", "Accept: \x7f",
    "Accept-Encoding: gzip", "X: " + "y" * 5000, "Origin: http://x", "Upgrade: h2c",
    "X-Forwarded-For: 1", "Content-Encoding: gzip",
)
# fmt: on
NOISE = (b"\r\n", b"\n", b"\0", b" ", b":", b"\xff", b"0\r\n")


class Generator:
    """Makes requests from a seed."""

    def __init__(self, seed: int):
        self._random = random.Random(seed)
        specs = (Spec.read(default_path()), control_contract().spec)
        operations = [operation for spec in specs for operation in spec.operations]
        self._targets = [(o.method, o.path) for o in operations if o.id not in LEFT_OUT]

    def request(self) -> tuple[bytes, bool]:
        """Return a request's bytes, and whether its framing is whole."""
        whole = self._whole()
        if self._random.random() < 0.7:
            return whole, True
        return self._mutated(whole), False

    def _whole(self) -> bytes:
        draw = self._random
        method, path = draw.choice(CREATIONS if draw.random() < 0.25 else self._targets)
        path = re.sub(r"\{\w+\}", lambda _: draw.choice(("5000001", "1", "x", "9" * 25)), path)
        if draw.random() < 0.2:
            method = draw.choice(METHODS)
        if draw.random() < 0.2:
            path += draw.choice(("/", ".json", "//x", "/%2e%2e/", "?", "/" + "a" * 200))
        if draw.random() < 0.3:
            pairs = (f"{self._quoted()}={self._quoted()}" for _ in range(draw.randint(1, 4)))
            path += "?" + "&".join(pairs)
        kind, body = self._body()
        head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
        head += [f"Content-Length: {len(body)}"]
        if kind:
            head.append(f"Content-Type: {kind}")
        if draw.random() < 0.8:
            head.append("Authorization: Bearer sd_fuzz")
        head += draw.sample(HEADERS, draw.choice((0, 0, 1, 2)))
        return "\r\n".join([*head, "", ""]).encode("latin-1", "replace") + body

    def _body(self) -> tuple[str, bytes]:
        draw = self._random
        kind = draw.choice(TYPES)
        match draw.randrange(7):
            case 0:
                return kind, b""
            case 1:
                return kind, draw.randbytes(draw.choice((1, 50, 3000)))
            case 2:
                return TYPES[0], json.dumps({"tune": self._value(3)}).encode()
            case 3:
                return TYPES[0], self._mutated(json.dumps(self._value(4)).encode())
            case 4:  # what is taken, but for one field
                fields = {draw.choice((*FIELDS, draw.choice(WORDS))): self._value(3)}
                tune = {"title": draw.choice(WORDS), "name": "woman", "image_urls": ["http://a/1"]}
                body = {"tune": tune | fields, "prompt": {"text": draw.choice(WORDS)} | fields}
                return TYPES[0], json.dumps(body).encode()
            case 5:
                pairs = (f"{self._quoted()}={self._quoted()}" for _ in range(draw.randint(1, 8)))
                return TYPES[1], "&".join(pairs).encode()
            case _:
                parts = b"".join(
                    b'--b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
                    % (self._word(), draw.choice((b"", b'; filename="a.png"')), self._word())
                    for _ in range(draw.randint(1, 4))
                )
                return TYPES[2], parts + draw.choice((b"--b--\r\n", b"--b", b""))

    def _value(self, depth: int) -> Any:
        draw = self._random
        kind = draw.randrange(6 if depth else 4)
        if kind == 4:
            return [self._value(depth - 1) for _ in range(draw.randrange(4))]
        if kind == 5:
            return {draw.choice(WORDS): self._value(depth - 1) for _ in range(draw.randrange(5))}
        return (draw.choice(WORDS), draw.randint(-(2**70), 2**70), draw.random(), None)[kind]

    def _word(self) -> bytes:
        return self._random.choice(WORDS).encode("utf-8", "surrogatepass")

    def _quoted(self) -> str:
        word = self._random.choice(WORDS)
        quoted = "".join(f"%{byte:02x}" for byte in word.encode("utf-8", "surrogatepass"))
        return quoted if self._random.random() < 0.5 or not re.fullmatch(r"[!-~]+", word) else word

    def _mutated(self, data: bytes) -> bytes:
        draw, result = self._random, bytearray(data)
        for _ in range(draw.randint(1, 6)):
            at = draw.randrange(len(result) + 1)
            match draw.randrange(4):
                case 0:
                    result[at:at] = draw.choice(
                        (b"\r\n", b"\n", b"\0", b" ", b":", b"\xff", b"0\r\n")
                    )
                case 1:
                    del result[at : at + draw.randint(1, 8)]
                case 2:
                    result[at:at] = bytes(result[at : at + draw.randint(1, 60)])
                case _:
                    result[at : at + 1] = draw.randbytes(1)
        return bytes(result)


@dataclass
class Findings:
    """What the answers were; `failures`: those that must not be, with their requests."""

    statuses: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def check(self, sent: bytes, answer: bytes, seconds: float, *, is_whole: bool) -> None:
        self.slowest = max(self.slowest, seconds)
        statuses = [match[1].decode() for match in STATUS.finditer(answer)]
        finals = [status for status in statuses if status != "100"]
        self.statuses[finals[0] if finals else "none"] += 1
        told = b"retry-after:" in answer.lower()
        if any(status >= "500" and not (status == "503" and told) for status in finals):
            self.failures.append(f"{finals}: {sent[:2000]!r} -> {answer[:500]!r}")
        elif is_whole and len(finals) != 1:
            self.failures.append(f"{len(finals)} answers: {sent[:2000]!r} -> {answer[:500]!r}")


def exchange(address: tuple[str, int], sent: bytes, context: Any, *, is_whole: bool) -> bytes:
    """Send a request on a connection of its own; return all that comes back."""
    answer = b""
    with ExitStack() as stack:
        connection: socket.socket = stack.enter_context(
            socket.create_connection(address, timeout=ANSWER_SECONDS)
        )
        if context:
            connection = stack.enter_context(context.wrap_socket(connection))
        with suppress(ConnectionError, ssl.SSLError):
            connection.sendall(sent)
        connection.settimeout(ANSWER_SECONDS if is_whole else SILENT_SECONDS)
        with suppress(TimeoutError, ConnectionError, ssl.SSLError):
            while data := connection.recv(65536):
                answer += data
    return answer


def requests_of(seed: int, count: int) -> Iterator[tuple[bytes, bool]]:
    generator = Generator(seed)
    return (generator.request() for _ in range(count))


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
            for sent, is_whole in requests_of(seed, options.requests // THREADS):
                begun = time.monotonic()
                answer = exchange(address, sent, context, is_whole=is_whole)
                with lock:
                    seconds = time.monotonic() - begun
                    findings.check(sent, answer, seconds, is_whole=is_whole)
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
