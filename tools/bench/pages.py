"""A page by `before_id` among a million tunes against one among a thousand, in each store.

The stores are filled through their own protocol, and asked for the same number of pages, spread
over all rows: first seen for the first time, then once more, when the rows are remembered.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from emulator.memory_store import MemoryStore
from emulator.store import FIRST_ID, Query, Store
from tools.bench.servers import machine, new_database

SMALL, LARGE = 1_000, 1_000_000
PAGES, SIZE = 50, 20
ROUNDS = 5
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROW = {"title": "Jane", "name": "woman", "state": "trained", "created_at": NOW}


def fill(store: Store, count: int) -> None:
    made = len(store.find("tune", Query(1, limit=1))) and store.find("tune", Query(1, limit=1))[0]
    done = made.id - FIRST_ID["tune"] + 1 if made else 0
    while done < count:
        with store.transaction():
            for _ in range(min(1000, count - done)):
                store.insert("tune", 1, ROW, refs=(f"title:{done}",))
                done += 1


def times(store: Store, count: int, seed: int) -> tuple[float, float]:
    """Median microseconds of a page that is seen for the first time, and once more."""
    chance = random.Random(seed)
    places = [FIRST_ID["tune"] + chance.randrange(SIZE, count) for _ in range(PAGES)]
    found = []
    for _ in range(2):
        spent = []
        for place in places:
            begin = time.perf_counter()
            page = store.find("tune", Query(1, before_id=place, limit=SIZE))
            spent.append(time.perf_counter() - begin)
            assert len(page) == SIZE
        found.append(statistics.median(spent) * 1e6)
    return found[0], found[1]


@contextmanager
def memory() -> Iterator[Store]:
    yield MemoryStore()


@contextmanager
def sqlite() -> Iterator[Store]:
    from emulator.sql.database import Sqlite
    from emulator.sql.store import SqlStore

    with tempfile.TemporaryDirectory() as folder:
        store = SqlStore(Sqlite(Path(folder)))
        yield store
        store.close()


@contextmanager
def postgres() -> Iterator[Store]:
    from emulator.sql.database import Postgres
    from emulator.sql.store import SqlStore

    with new_database() as url:
        store = SqlStore(Postgres(url))
        yield store
        store.close()


def measure(name: str, opened: Callable[[], object]) -> None:
    with opened() as store:  # type: ignore[attr-defined]
        rows = []
        for count in (SMALL, LARGE):
            fill(store, count)
            both = [times(store, count, seed) for seed in range(ROUNDS)]
            rows.append([statistics.median(figures) for figures in zip(*both, strict=True)])
        for what, small, large in zip(("first", "again"), *rows, strict=True):
            ratio = large / small
            print(f"| {name}, seen {what} | {small:.0f} | {large:.0f} | {ratio:.2f} |", flush=True)


def main() -> None:
    print(machine())
    print(f"| a page of {SIZE}, microseconds | among {SMALL:,} | among {LARGE:,} | ratio |")
    print("| --- | --- | --- | --- |")
    for name, opened in (("memory", memory), ("SQLite", sqlite), ("PostgreSQL", postgres)):
        try:
            measure(name, opened)
        except Exception as error:
            print(f"not measured: {name} ({type(error).__name__}: {error})")
