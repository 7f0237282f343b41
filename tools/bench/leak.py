"""Measure memory under requests that delete what they create: it must not grow."""

import http.client
import json
import os
from urllib.parse import urlsplit

from tools.bench.servers import KEY, TUNE, machine, serving, stores

REQUESTS = int(os.environ.get("REQUESTS", "100000"))
CHUNKS = 5
NESTED = {**TUNE, "prompts_attributes": [{"text": "ohwx woman"}]}


class Client:
    """A client with one persistent connection."""

    def __init__(self, url: str):
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

    def ask(self, method: str, path: str, body: object = None) -> bytes:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        data = json.dumps(body) if body is not None else None
        self._connection.request(method, path, data, headers)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"bench: {method} {path}: {answer.status}")
        return data


def run(client: Client, requests: int) -> None:
    """Create a tune with a prompt, read both and delete them: four requests each time."""
    for _ in range(requests // 4):
        id = json.loads(client.ask("POST", "/tunes", {"tune": NESTED}))["id"]
        client.ask("GET", f"/tunes/{id}")
        client.ask("GET", f"/tunes/{id}/prompts")
        client.ask("DELETE", f"/tunes/{id}")


def main() -> None:
    print(machine())
    print(
        f"| MB after, of {REQUESTS:,} requests | "
        + " | ".join(["a tenth", *(f"{part + 1}/{CHUNKS}" for part in range(CHUNKS))])
        + " |"
    )
    print("| --- " * (CHUNKS + 2) + "|")
    for peer in stores():
        with serving(peer) as running:
            client = Client(running.url)
            run(client, REQUESTS // 10)  # fills the caches
            row = [running.memory_mb()]
            for _ in range(CHUNKS):
                run(client, REQUESTS // CHUNKS)
                row.append(running.memory_mb())
        print(f"| {peer.name} | " + " | ".join(f"{size:.1f}" for size in row) + " |", flush=True)
