"""The emulator with each store beside other servers, on the same contract, in turns."""

import os
import statistics

from tools.bench.load import wrk
from tools.bench.servers import TUNE, Peer, ask, machine, others, serving, stores

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = 3
# The same for all; one that cannot take so much has no time of its own.
OFFERED = {"GET /tunes/{id}": 1000, "GET /tunes of 20": 500, "POST /tunes": 400}
REACHED = 0.85


def measure(peer: Peer) -> None:
    with serving(peer) as running:
        made = [ask(f"{running.url}/tunes", {"tune": TUNE}) for _ in range(20)]
        asked = {
            "GET /tunes/{id}": (f"{running.url}/tunes/{made[0]['id']}", None),
            "GET /tunes of 20": (f"{running.url}/tunes", None),
            "POST /tunes": (f"{running.url}/tunes", {"tune": TUNE}),
        }
        for what, (url, body) in asked.items():
            rate = OFFERED[what]
            found = wrk(url, body=body, seconds=SECONDS, offered=rate)
            late = found.p99 if found.rate >= REACHED * rate else float("nan")
            peer.note(f"{what}, p99 ms at {rate}/s", late)
        for what, (url, body) in asked.items():
            peer.note(f"{what}, requests/s", wrk(url, body=body, seconds=SECONDS).rate)


def main() -> None:
    peers = [*stores(), *others()]
    for _ in range(ROUNDS):
        for peer in peers:
            measure(peer)
    print(machine())
    print("| " + " | ".join([f"median of {ROUNDS}", *(peer.name for peer in peers)]) + " |")
    print("| --- " * (len(peers) + 1) + "|")
    for what in peers[0].figures:
        row = [f"{statistics.median(peer.figures[what]):,.4g}" for peer in peers]
        print("| " + " | ".join([what, *row]) + " |")
    prism = next((peer for peer in peers if peer.name == "Prism"), None)
    if prism:
        for what in peers[0].figures:
            mine, its = (statistics.median(peer.figures[what]) for peer in (peers[0], prism))
            print(f"memory / Prism, {what}: {mine / its:.2f}")
