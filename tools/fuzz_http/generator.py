"""Requests for every operation with odd paths, headers and bodies, from a seed."""

import json
import random
import re
from typing import Any

from astria_emulator.spec.loading import control_contract
from astria_emulator.spec.openapi import Spec, default_path
from tools.fuzz_http.framing import Case, framed

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

    def case(self) -> Case:
        kind = self._random.random()
        if kind < 0.3:
            return framed(self._random)
        whole = self._whole()
        if kind < 0.8:
            return Case(whole, least=1)
        sent = self._mutated(whole)
        # Each end of a head may end one: the framing may say anything.
        return Case(sent, most=1 + len(re.findall(rb"\n\r?\n", sent)), may_wait=True)

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
