"""Attack servers under load, and check that no answered work is lost, done twice or left over.

    python -m tools.crash                          # SQLite in a new folder
    python -m tools.crash --postgres --servers 2   # PostgreSQL, shared by two, in a new database

Clients create tunes, nested prompts and prompts with callbacks, and delete some, while servers are
killed, frozen and started again, the database is frozen and cut off, and the disk is full. A
request without an answer is sent again under the same title, as creation is repeat-safe here. Ends
with 0 and a summary, or 1 and the problems.
"""

import argparse
import json
import random
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from tests.databases import postgres_database, server_problem
from tools.crash.checks import left_over, problems
from tools.crash.clients import Client, Ledger, receive
from tools.crash.disk import mounted
from tools.crash.events import EVENTS, LIFE_SECONDS, World, note_unknown, possible
from tools.crash.proxy import Proxy
from tools.crash.servers import Server, free_port

CLIENTS = 4


def repeat(act: Callable[[], None], stop: threading.Event, failures: list[str]) -> None:
    while not stop.is_set():
        try:
            act()
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}")
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=150)
    parser.add_argument("--only", choices=list(EVENTS), action="append", help="again and again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    if options.postgres and (problem := server_problem()):
        parser.error(problem)
    generator = random.Random(options.seed)
    ledger, stop, failures = Ledger(), threading.Event(), list[str]()
    receiver = receive(ledger)
    hook = f"http://127.0.0.1:{receiver.server_port}"
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        temporary, data = root / "temporary", root / "disk" / "data"
        for folder in (temporary, data.parent):
            folder.mkdir()
        disk = stack.enter_context(mounted(data.parent))
        proxy = Proxy(stack.enter_context(postgres_database())) if options.postgres else None
        settings = ["--data", str(data), "--train-seconds", "0", "--prompt-seconds", "0"]
        settings += ["--idempotency", "--log-level", "error"]
        if proxy:
            stack.enter_context(closing(proxy))
            settings += ["--database", proxy.url]
        servers: list[Server] = []
        for _ in range(options.servers):
            servers.append(Server(free_port(), settings, temporary))
            stack.callback(servers[-1].kill)
        clients = [Client(servers, ledger, hook, seed) for seed in range(CLIENTS)]
        world = World(generator, servers, clients, ledger, proxy, disk)
        threads = [
            threading.Thread(target=repeat, args=[client.act, stop, failures]) for client in clients
        ]
        for thread in threads:
            thread.start()
        names = options.only or possible(world)
        done: Counter[str] = Counter()
        for _ in range(options.events):
            world.pause(LIFE_SECONDS)
            name = names[done.total() % len(names)]  # each kind as often
            EVENTS[name](world)
            done[name] += 1
            if failures:
                break
        stop.set()
        for thread in threads:
            thread.join()
        world.settle()
        note_unknown(world)
        found = failures + problems(ledger, clients[0])
        stops = [server.stop() for server in servers]
        for server in servers:
            server.start()
        found += left_over(clients[0], data, temporary)
    receiver.shutdown()
    summary = {
        "events": dict(done),
        "tunes": len(ledger.tunes),
        "prompts": len(ledger.prompts),
        "deleted": len(ledger.deleted),
        "sent again": ledger.resent,
        "callbacks": sum(ledger.received.values()),
        "unknown": len(ledger.unknown),
        "longest stop": round(max(stops), 1),
        "problems": len(found),
    }
    print(json.dumps(summary))
    if found:
        raise SystemExit("\n".join(found[:50]))


if __name__ == "__main__":
    main()
