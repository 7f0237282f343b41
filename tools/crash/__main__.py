"""Kill servers under load, and check that no answered work is lost and none is done twice.

    python -m tools.crash --kills 100                                   # SQLite in a new folder
    python -m tools.crash --kills 100 --database URL --servers 2        # PostgreSQL, shared by two

Clients create tunes, nested prompts and prompts with callbacks, and delete some, while servers get
kill -9 at random moments and are started again. A request without an answer is sent again under
the same title, as creation is repeat-safe here. Ends with 0 and a summary, or 1 and the problems.
"""

import argparse
import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import requests

from tools.crash.clients import Client, Ledger, Server, free_port, receive

CLIENTS = 4
LIFE_SECONDS = (0.15, 0.9)  # shortest and longest, between a server's first answer and its end
SETTLE_SECONDS = 300.0


def note_unknown(ledger: Ledger, server: Server) -> None:
    """Note the deliveries that may or may not have been sent."""
    for row in requests.get(f"{server.url}/_emulator/callbacks", timeout=20).json():
        if row["state"] == "unknown":
            ledger.unknown.add(requests.utils.urlparse(row["url"]).path)


def settle(server: Server) -> None:
    """Wait until all work has ended, also that of killed servers."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        requests.post(f"{server.url}/_emulator/finish", timeout=90)
        jobs = requests.get(f"{server.url}/_emulator/jobs", timeout=20).json()
        if all(job["kind"] == "expire_tune" for job in jobs):
            return
        time.sleep(0.5)
    raise SystemExit(f"work is left: {jobs[:5]}")


def problems(ledger: Ledger, client: Client) -> list[str]:
    """Return what is lost, or was done twice."""
    found: list[str] = []
    listed: list[dict[str, Any]] = []
    before = ""
    while page := client.ask("GET", f"/tunes?limit=120{before}").json():
        listed += page
        before = f"&before_id={page[-1]['id']}"
    ids, titles = [tune["id"] for tune in listed], [tune["title"] for tune in listed]
    found += [f"id {id} listed {n} times" for id, n in Counter(ids).items() if n > 1]
    found += [f"title {title}: {n} tunes" for title, n in Counter(titles).items() if n > 1]
    by_id = {tune["id"]: tune for tune in listed}
    for id, title in ledger.tunes.items():
        path = f"/tunes/{id}"
        if path in ledger.deleted:
            found += [f"{path} was deleted and is there"] if id in by_id else []
        elif id not in by_id:
            found += [f"{path} is lost"] if path not in ledger.deleting else []
        else:
            found += _problems_of(ledger, client, by_id[id], title)
    for id, tune in ledger.prompts.items():
        if f"/tunes/{tune}" not in ledger.deleting:
            prompt = client.ask("GET", f"/prompts/{id}")
            if prompt.status_code != 200 or not prompt.json()["trained_at"]:
                found.append(f"prompt {id} is lost or has not ended")
    found += [f"callback {path} came {n} times" for path, n in ledger.received.items() if n > 1]
    return found


def _problems_of(ledger: Ledger, client: Client, tune: dict[str, Any], title: str) -> list[str]:
    found = []
    if tune["title"] != title or not tune["trained_at"]:
        found.append(f"tune {tune['id']} is not as it was answered, or not trained")
    nested = client.ask("GET", f"/tunes/{tune['id']}/prompts?limit=120").json()
    texts = Counter(prompt["text"] for prompt in nested)
    found += [f"prompt {text!r}: {n}" for text, n in texts.items() if n > 1]
    if f"nested in {title}" not in texts:
        found.append(f"nested prompt of {tune['id']} is lost")
    for path in (f"/tune/{title}", f"/nested/{title}"):
        if not ledger.received[path] and path not in ledger.unknown:
            found.append(f"callback {path} did not come, and is not said to be unknown")
    if photo := ledger.photos.get(tune["id"]):
        response = client.ask("GET", "/" + tune["orig_images"][0].rpartition("/")[2])
        if response.content != photo:
            found.append(f"the photograph of {tune['id']} is lost")
    return found


def repeat(act: Callable[[], None], stop: threading.Event, failures: list[str]) -> None:
    while not stop.is_set():
        try:
            act()
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}")
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--database", default="")
    options = parser.parse_args()
    generator = random.Random(options.seed)
    ledger, stop, failures = Ledger(), threading.Event(), list[str]()
    receiver = receive(ledger)
    hook = f"http://127.0.0.1:{receiver.server_port}"
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        settings = ["--data", folder, "--train-seconds", "0", "--prompt-seconds", "0"]
        settings += ["--idempotency", "--log-level", "error"]
        settings += ["--database", options.database] if options.database else []
        servers: list[Server] = []
        for _ in range(options.servers):
            servers.append(Server(free_port(), settings))
            stack.callback(servers[-1].kill)
        clients = [Client(servers, ledger, hook, seed) for seed in range(CLIENTS)]
        threads = [
            threading.Thread(target=repeat, args=[client.act, stop, failures]) for client in clients
        ]
        for thread in threads:
            thread.start()
        for _ in range(options.kills):
            time.sleep(generator.uniform(*LIFE_SECONDS))
            server = generator.choice(servers)
            server.kill()
            server.start()
            note_unknown(ledger, server)
        stop.set()
        for thread in threads:
            thread.join()
        settle(servers[0])
        note_unknown(ledger, servers[0])
        found = failures + problems(ledger, clients[0])
    receiver.shutdown()
    summary = {
        "kills": options.kills,
        "tunes": len(ledger.tunes),
        "prompts": len(ledger.prompts),
        "deleted": len(ledger.deleted),
        "sent again": ledger.resent,
        "callbacks": sum(ledger.received.values()),
        "unknown": len(ledger.unknown),
        "problems": len(found),
    }
    print(json.dumps(summary))
    if found:
        raise SystemExit("\n".join(found[:50]))


if __name__ == "__main__":
    main()
