"""Measure a page by `before_id` among a million tunes and among a thousand, in each store.

The store is filled through its own protocol with copies of a tune that a request has created. Then
the application, in this process, answers requests for pages spread over all of them: first while
rows must still be read and written as JSON, then once more.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from astria_emulator import Config, create_app
from astria_emulator.app import Emulator
from astria_emulator.storage.store import FIRST_ID, Store
from tools.bench.servers import KEY, TUNE, machine, new_database

SMALL, LARGE = 1_000, 1_000_000
PAGES, SIZE = 40, 20
HEADERS = {"Authorization": f"Bearer {KEY}"}


def fill(store: Store, owner: int | None, tune: Mapping[str, Any], first: int, count: int) -> None:
    for begin in range(first, count, 1000):
        with store.transaction():
            for number in range(begin, begin + 1000):
                store.insert("tune", owner, tune, refs=(f"title:{number}",))


def times(app: Emulator, before_ids: list[int]) -> Iterator[float]:
    """Yield the microseconds of each page."""
    client = app.test_client()
    for before_id in before_ids:
        begin = time.perf_counter()
        page = client.get(f"/tunes?limit={SIZE}&before_id={before_id}", headers=HEADERS).json
        yield (time.perf_counter() - begin) * 1e6
        assert len(page) == SIZE


def measure(name: str, **settings: str) -> None:
    app = create_app(Config(train_seconds=86400, **settings))
    store = app.services.store
    tune = app.test_client().post("/tunes", json={"tune": TUNE}, headers=HEADERS).json
    row = store.get("tune", tune["id"])
    assert row is not None
    figures, done = [], 0
    for count in (SMALL, LARGE):
        fill(store, row.owner, row.data, done, count)
        done = count
        # Of the million tunes take pages that have not been read yet.
        generator = random.Random(count)
        lowest = SIZE if count == SMALL else SMALL
        before_ids = [FIRST_ID["tune"] + generator.randrange(lowest, count) for _ in range(PAGES)]
        if hasattr(store, "_read"):
            store._read.cache_clear()
        figures.append([statistics.median(times(app, before_ids)) for _ in range(2)])
    app.close()
    for order, small, large in zip(("first", "again"), *figures, strict=True):
        ratio = large / small
        print(f"| {name}, seen {order} | {small:,.0f} | {large:,.0f} | {ratio:.2f} |", flush=True)


def main() -> None:
    print(machine())
    print(f"| a page of {SIZE}, microseconds | among {SMALL:,} | among {LARGE:,} | ratio |")
    print("| --- | --- | --- | --- |")
    with ExitStack() as stack:
        measure("memory")
        measure("SQLite", data=stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            database = stack.enter_context(new_database())
        except Exception as error:
            print(f"not measured: PostgreSQL ({type(error).__name__})")
            return
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        measure("PostgreSQL", data=folder, database=database)
