"""Measure multipart uploads of four photographs of 3 MB: their speed, and their memory."""

import http.client
import io
import os
import statistics
import time
from urllib.parse import urlsplit

from PIL import Image

from tools.bench.servers import KEY, Running, machine, serving, stores

UPLOADS = 48
DISPOSITION = 'Content-Disposition: form-data; name="tune['
SIDE = 1000  # pixels of random colours: 3 MB as a PNG


def photograph() -> bytes:
    out = io.BytesIO()
    image = Image.frombytes("RGB", (SIDE, SIDE), os.urandom(SIDE * SIDE * 3))
    image.save(out, "PNG", compress_level=0)
    return out.getvalue()


def body(photos: list[bytes]) -> tuple[bytes, str]:
    """Return a form with the photographs, and its content type."""
    line = "bench-boundary"
    parts = [
        f'--{line}\r\n{DISPOSITION}{name}]"\r\n\r\n{value}\r\n'.encode()
        for name, value in (("title", "Jane"), ("name", "woman"), ("branch", "fast"))
    ]
    for number, photo in enumerate(photos):
        head = f'--{line}\r\nContent-Disposition: form-data; name="tune[images][]"; '
        head += f'filename="{number}.png"\r\nContent-Type: image/png\r\n\r\n'
        parts += [head.encode(), photo, b"\r\n"]
    return b"".join([*parts, f"--{line}--\r\n".encode()]), f"multipart/form-data; boundary={line}"


def post(running: Running, data: bytes, kind: str) -> float:
    """Create a tune, and return the seconds until the answer."""
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=60)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": kind}
    begin = time.perf_counter()
    connection.request("POST", "/tunes", data, headers)
    answer = connection.getresponse()
    answer.read()
    seconds = time.perf_counter() - begin
    connection.close()
    if answer.status != 201:
        raise SystemExit(f"bench: the upload was answered with {answer.status}")
    return seconds


def main() -> None:
    os.sched_setaffinity(0, {1})
    data, kind = body([photograph() for _ in range(4)])
    size = len(data) / 1e6
    print(machine())
    print(f"| {UPLOADS} uploads of {size:.1f} MB | MB/s | memory for each MB that was sent |")
    print("| --- | --- | --- |")
    for peer in stores():
        with serving(peer) as running:
            post(running, data, kind)  # loads what later ones need as well
            before = running.memory_mb()
            seconds = [post(running, data, kind) for _ in range(UPLOADS)]
            grown = (running.memory_mb() - before) * 1.048576 / (size * UPLOADS)
        print(
            f"| {peer.name} | {size / statistics.median(seconds):,.0f} | {grown:.2f} |", flush=True
        )
