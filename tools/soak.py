"""Use a server for minutes, and check that a reset gives its memory back.

    python -m tools.soak --store memory     # or sqlite, or postgres; --minutes 15, --rate 30

Tunes with photographs, prompts, pictures, lists, deletions, callbacks, snapshots, restores and
resets, at a steady rate. The start counts after a warm-up and a reset, the end after a reset. Ends
with 0 if the resident memory has grown by no more than 20 %, the rate was kept, and each request
was answered with success, or with 404 as what it names may have been reset; else with 1.
"""

import argparse
import itertools
import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from tests.databases import postgres_database, server_problem
from tools.crash.clients import receive
from tools.crash.ledger import Ledger, photograph
from tools.crash.servers import Server, free_port

MOST_GROWTH = 0.2
LEAST_RATE = 0.9  # of the rate that is asked for
WARM_UP_SECONDS = 60.0
CONTROL_SECONDS = 10.0  # between two of a snapshot, a restore and a reset
SETTLE_SECONDS = 10.0  # after a reset: memory is given back in the background
CLIENTS = 4
HEADERS = {"Authorization": "Bearer sd_soak"}


class User:
    """Sends requests, each drawn by chance."""

    def __init__(self, url: str, hook: str, seed: int):
        self._url, self._hook = url, hook
        self._random = random.Random(seed)
        self._session = requests.Session()
        self._session.headers.update(HEADERS)
        self._tunes: list[int] = []
        self.statuses: Counter[int] = Counter()

    def act(self) -> None:
        acts = (self.upload, self.create, self.prompt, self.show, self.list, self.draw)
        weights = (2, 2, 4, 6, 6, 2)
        [act] = self._random.choices(acts, weights)
        act()
        if len(self._tunes) > 50:
            self.ask("DELETE", f"/tunes/{self._tunes.pop(0)}")

    def ask(self, method: str, path: str, **more: Any) -> Any:
        answer = self._session.request(method, self._url + path, timeout=120, **more)
        self.statuses[answer.status_code] += 1
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.json() if is_json and answer.ok else None

    def upload(self) -> None:
        form = {"tune[title]": self._title(), "tune[name]": "woman", "tune[branch]": "fast"}
        photo = photograph(self._title()) + self._random.randbytes(200_000)
        files = {"tune[images][]": ("a.png", photo, "image/png")}
        self._note(self.ask("POST", "/tunes", data=form, files=files))

    def create(self) -> None:
        tune = {"title": self._title(), "name": "cat", "branch": "fast", "callback": self._hook}
        tune["image_urls"] = ["http://a.test/1"]  # type: ignore[assignment]
        self._note(self.ask("POST", "/tunes", json={"tune": tune}))

    def prompt(self) -> None:
        if self._tunes:
            prompt = {"text": self._title(), "num_images": 2, "callback": self._hook}
            path = f"/tunes/{self._random.choice(self._tunes)}/prompts"
            self.ask("POST", path, json={"prompt": prompt})

    def show(self) -> None:
        if self._tunes:
            self.ask("GET", f"/tunes/{self._random.choice(self._tunes)}")

    def list(self) -> None:
        self.ask("GET", self._random.choice(["/tunes", "/prompts", "/_emulator/requests"]))

    def draw(self) -> None:
        prompts = self.ask("GET", "/prompts?limit=5") or []
        for image in [image for prompt in prompts for image in prompt["images"]][:1]:
            self.ask("GET", "/" + image.rpartition("/")[2])

    def _note(self, tune: Any) -> None:
        if tune:
            self._tunes.append(tune["id"])

    def _title(self) -> str:
        return f"{self._random.getrandbits(64):x}"


def run(users: list[User], seconds: float, rate: float, control: Callable[[], object]) -> None:
    """Let the users act together at a rate in requests/s, and call `control` every 10 s."""
    end = time.monotonic() + seconds

    def loop(user: User) -> None:
        while time.monotonic() < end:
            begun = time.monotonic()
            user.act()
            time.sleep(max(0.0, begun + len(users) / rate - time.monotonic()))

    threads = [threading.Thread(target=loop, args=[user]) for user in users]
    for thread in threads:
        thread.start()
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(CONTROL_SECONDS, left))
        control()
    for thread in threads:
        thread.join()


def resident_mb(pid: int) -> float:
    [line] = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in line
    ]
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=["memory", "sqlite", "postgres"], default="memory")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--rate", type=float, default=30.0)
    options = parser.parse_args()
    if options.store == "postgres" and (problem := server_problem()):
        parser.error(problem)
    receiver = receive(Ledger())
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = ["--log-level", "error", "--train-seconds", "0.2", "--prompt-seconds", "0.2"]
        settings += ["--data", str(root / "data")] if options.store != "memory" else []
        if options.store == "postgres":
            settings += ["--database", stack.enter_context(postgres_database())]
        server = Server(free_port(), settings, root)
        stack.callback(server.kill)
        hook = f"http://127.0.0.1:{receiver.server_port}/"
        users = [User(server.url, hook, seed) for seed in range(CLIENTS)]

        operator = User(server.url, hook, CLIENTS)
        steps = itertools.cycle(
            [
                ("PUT", "/_emulator/snapshots/soak"),
                ("POST", "/_emulator/snapshots/soak/restore"),
                ("POST", "/_emulator/reset"),
            ]
        )

        def control() -> None:
            operator.ask(*next(steps))

        def memory_after_reset() -> float:
            requests.post(f"{server.url}/_emulator/finish", timeout=120)
            requests.delete(f"{server.url}/_emulator/snapshots/soak", timeout=120)
            requests.post(f"{server.url}/_emulator/reset", timeout=120)
            time.sleep(SETTLE_SECONDS)
            return resident_mb(server.pid)

        run(users, WARM_UP_SECONDS, options.rate, control)
        first = memory_after_reset()
        for user in users:
            user.statuses.clear()
        run(users, options.minutes * 60, options.rate, control)
        highest = resident_mb(server.pid)
        last = memory_after_reset()
        statuses = sum((user.statuses for user in users), Counter())
    receiver.shutdown()
    summary = {
        "store": options.store,
        "minutes": options.minutes,
        "requests": statuses.total(),
        "requests/s": round(statuses.total() / options.minutes / 60, 1),
        "answers": dict(sorted((statuses + operator.statuses).items())),
        "MB at the start": round(first, 1),
        "MB under load": round(highest, 1),
        "MB after the reset": round(last, 1),
        "growth": f"{last / first - 1:+.0%}",
    }
    print(json.dumps(summary))
    rate = statuses.total() / options.minutes / 60 / options.rate
    if found := problems(last / first - 1, rate, statuses + operator.statuses):
        raise SystemExit("\n".join(found))


def problems(growth: float, rate: float, statuses: Counter[int]) -> list[str]:
    """Tell what does not hold. growth of memory: a share; rate: a share of what was asked for."""
    found = []
    if growth > MOST_GROWTH:
        found.append(f"memory has grown by {growth:.0%}")
    if rate < LEAST_RATE:
        found.append(f"the rate was only {rate:.0%} of what it was to be: the machine is too busy")
    for status, count in sorted(statuses.items()):
        if not (200 <= status < 300 or status == 404):
            found.append(f"{count} requests were answered {status}")
    return found


if __name__ == "__main__":
    main()
