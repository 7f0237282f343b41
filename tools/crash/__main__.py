"""Do to servers what happens to them, and check that nothing is lost, doubled or left over.

    python -m tools.crash --events 300                       # SQLite, then PostgreSQL
    python -m tools.crash --events 300 --store sqlite --seed 7
    python -m tools.crash --events 20 --only reset,import    # kinds of events

Four clients create tunes with photographs, nested prompts and prompts with callbacks, fetch
pictures, and delete tunes. Meanwhile servers are killed, stopped and frozen, also in the middle of
what they do; clients, the database and the disk fail too. A request without an answer, or with 503,
is sent again under the same title, as creation is repeat-safe here. One server uses SQLite; two
share a PostgreSQL, at ASTRIA_TEST_POSTGRES or on this machine.

The disk is a small tmpfs; where this process may mount none, it is neither full nor read-only. All
events are drawn from the seed, but not what the machine makes of them. Ends with a table, and with
1 if there are problems.
"""

import argparse
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO

from tests.databases import execute, postgres_database, server_problem
from tools.crash import checks
from tools.crash.checks import DATA, KINDS, TEMPORARY, WRONG, Problem
from tools.crash.clients import Client, Load, expect, receive
from tools.crash.disk import mounted
from tools.crash.events import Scene, kinds
from tools.crash.ledger import Ledger
from tools.crash.proxy import Proxy
from tools.crash.servers import Server, free_port

CLIENTS = 4
SERVERS = {"sqlite": 1, "postgres": 2}
SWEEP_SECONDS = 60.0  # that a server may take to erase what others have left
TOLD = 50  # problems that are listed


class Run:
    """Events over one store, and what is found."""

    def __init__(self, store: str, seed: int, log: IO[str]):
        self._store = store
        self._seed = seed
        self.counts: Counter[str] = Counter()  # events by kind
        self.failed: Counter[str] = Counter()  # those that told of a problem themselves
        self.ledger = Ledger()
        self.problems: list[Problem] = []
        self._log = log  # of the servers

    def go(self, events: int, only: list[str]) -> None:
        with ExitStack() as stack:
            scene = self._scene(stack)
            possible = {kind: act for kind, act in kinds(scene).items() if not only or kind in only}
            if not possible:
                raise SystemExit(f"expected kinds of {', '.join(kinds(scene))}")
            deck: list[str] = []
            for number in range(1, events + 1):
                if not deck:  # each kind as often as any other
                    deck = scene.random.sample(sorted(possible), len(possible))
                kind = deck.pop()
                self.ledger.event = f"{number}, {kind}"
                scene.wait()
                found = possible[kind](scene)
                self.counts[kind] += 1
                self.failed[kind] += bool(found)
                if found:
                    self.problems.append(Problem(WRONG, f"event {self.ledger.event}: {found}"))
                if not all(server.is_running for server in scene.servers):
                    raise SystemExit(f"a server ended by itself at event {self.ledger.event}")
                checks.note_unknown(self.ledger, scene.load.clients[0])
            self.problems += self._check(scene)

    def _scene(self, stack: ExitStack) -> Scene:
        self._root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        disk = stack.enter_context(mounted(self._root))
        (self._root / DATA).mkdir()
        (self._root / TEMPORARY).mkdir()
        receiver = receive(self.ledger)
        stack.callback(receiver.server_close)
        stack.callback(receiver.shutdown)
        hook = f"http://127.0.0.1:{receiver.server_port}"
        settings = ["--data", str(self._root / DATA), "--train-seconds", "0"]
        settings += ["--prompt-seconds", "0", "--idempotency", "--log-level", "error"]
        proxy, database = None, ""
        if self._store == "postgres":
            database = stack.enter_context(postgres_database())
            proxy = stack.enter_context(closing(Proxy(database)))
            settings += ["--database", proxy.url]
        servers: list[Server] = []
        for _ in range(SERVERS[self._store]):
            server = Server(free_port(), settings, self._root / TEMPORARY, log=self._log)
            servers.append(server)
            stack.callback(server.kill)
        load = Load([Client(servers, self.ledger, hook, number) for number in range(CLIENTS)])
        return Scene(
            *(random.Random(self._seed), servers, load, self.ledger, disk, hook, proxy),
            end_sessions=lambda: end_sessions(database),
        )

    def _check(self, scene: Scene) -> Iterator[Problem]:
        scene.load.end()
        client = scene.load.clients[0]
        yield from (Problem(WRONG, text) for text in scene.load.problems)
        yield from checks.settle(scene.servers, client)
        checks.note_unknown(self.ledger, client)
        yield from checks.compare(self.ledger, client)
        yield from self._stop(scene)
        for server in scene.servers:
            server.start()  # erases what is left over, which may stay until then
        yield from when_swept(lambda: checks.compare_files(self._root, client))
        expect(client.ask("POST", "/_emulator/reset"), 200)
        yield from self._stop(scene)
        yield from checks.compare_with_nothing(self._root)

    def _stop(self, scene: Scene) -> Iterator[Problem]:
        for server in scene.servers:
            if not server.stop():
                yield Problem(WRONG, "SIGTERM did not end a server")

    def tell(self, seconds: float) -> None:
        found = Counter(problem.kind for problem in self.problems)
        print(f"\n{self._store}, seed {self._seed}, {seconds:.0f} s\n")
        print("| event | times | went wrong |\n| --- | --- | --- |")
        for kind, count in sorted(self.counts.items()):
            print(f"| {kind} | {count} | {self.failed[kind]} |")
        print(f"| all | {self.counts.total()} | {self.failed.total()} |\n")
        totals = self.ledger.totals
        totals["callbacks"] = self.ledger.received.total()
        totals["unknown"] = len(self.ledger.unknown)
        print(", ".join(f"{name} {count:,}" for name, count in sorted(totals.items())))
        print(", ".join(f"{kind} {found[kind]}" for kind in KINDS))
        for problem in self.problems[:TOLD]:
            print(f"- {problem.kind}: {problem.text}")
        for error, times in self._errors().most_common(TOLD):
            print(f"- logged {times} times: {error}")
        sys.stdout.flush()

    def _errors(self) -> Counter[str]:
        """The errors that servers have logged, each by its first and last line."""
        self._log.seek(0)
        entries = re.split(r"^\d\d:\d\d:\d\d (?=[A-Z])", self._log.read(), flags=re.MULTILINE)
        lines = [entry.splitlines() for entry in entries if entry.strip()]
        return Counter(" ... ".join(dict.fromkeys((entry[0], entry[-1]))) for entry in lines)


def when_swept(look: Callable[[], Iterator[Problem]]) -> list[Problem]:
    """Return the problems that stay."""
    end = time.monotonic() + SWEEP_SECONDS
    while (found := list(look())) and time.monotonic() < end:
        time.sleep(0.5)
    return found


def end_sessions(database: str) -> None:
    """Let the database server end all of its sessions. database: its URL."""
    name = database.rpartition("/")[2]
    execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=300, help="of each store")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", choices=SERVERS, action="append")
    parser.add_argument("--only", default="", help="kinds of events, separated by commas")
    options = parser.parse_args()
    if "postgres" in (options.store or SERVERS) and (problem := server_problem()):
        parser.error(f"{problem}; --store sqlite needs none")
    only = [kind for kind in options.only.split(",") if kind]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves no server, no mount behind
    found = 0
    for store in options.store or SERVERS:
        begin = time.monotonic()
        with tempfile.TemporaryFile("w+") as log:
            run = Run(store, options.seed, log)
            run.go(options.events, only)
            run.tell(time.monotonic() - begin)
        found += len(run.problems)
    raise SystemExit(found > 0)


if __name__ == "__main__":
    main()
