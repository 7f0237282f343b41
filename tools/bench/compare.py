"""Compare the emulator, with each store, to other servers on the same contract, in turns."""

import os
import statistics

from tools.bench.load import wrk
from tools.bench.servers import TUNE, Peer, ask, machine, others, serving, stores

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = 3
# Requests a second, the same for all; a server that cannot reach them gets no latency.
OFFERED = {"GET /tunes/{id}": 1000, "GET /tunes of 20": 500, "POST /tunes": 400}
REACHED = 0.85  # share of the offered rate that counts as reached


def measure(peer: Peer) -> None:
    with serving(peer) as running:
        tunes = [ask(f"{running.url}/tunes", {"tune": TUNE}) for _ in range(20)]
        requests = {
            "GET /tunes/{id}": (f"{running.url}/tunes/{tunes[0]['id']}", None),
            "GET /tunes of 20": (f"{running.url}/tunes", None),
            "POST /tunes": (f"{running.url}/tunes", {"tune": TUNE}),
        }
        for name, (url, body) in requests.items():
            rate = OFFERED[name]
            load = wrk(url, body=body, seconds=SECONDS, offered=rate)
            p99 = load.p99 if load.rate >= REACHED * rate else float("nan")
            peer.note(f"{name}, p99 ms at {rate}/s", p99)
        for name, (url, body) in requests.items():
            peer.note(f"{name}, requests/s", wrk(url, body=body, seconds=SECONDS).rate)


def main() -> None:
    peers = [*stores(), *others()]
    for _ in range(ROUNDS):
        for peer in peers:
            measure(peer)
    print(machine())
    print("| " + " | ".join([f"median of {ROUNDS}", *(peer.name for peer in peers)]) + " |")
    print("| --- " * (len(peers) + 1) + "|")
    for name in peers[0].figures:
        row = [f"{statistics.median(peer.figures[name]):,.4g}" for peer in peers]
        print("| " + " | ".join([name, *row]) + " |")
    prism = next((peer for peer in peers if peer.name == "Prism"), None)
    if prism:
        for name in peers[0].figures:
            ours, theirs = (statistics.median(peer.figures[name]) for peer in (peers[0], prism))
            print(f"memory / Prism, {name}: {ours / theirs:.2f}")
