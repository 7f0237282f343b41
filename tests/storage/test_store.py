"""The store against a plain model of it, transactions that fail, and the job table."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from astria_emulator.storage.store import FIRST_ID, Query, Row, Store
from tests.databases import STORES
from tests.storage.store_cases import failing

TABLES = st.sampled_from(["tune", "like"])
OWNERS = st.sampled_from([None, 1, 2])
REFS = st.lists(st.sampled_from([5, 6, "pack:5"]), max_size=3).map(tuple)
DATA = st.dictionaries(st.sampled_from(["title", "state"]), st.integers(0, 3), max_size=2)


def even(row: Row) -> bool:
    return row.id % 2 == 0


class StoreMachine(RuleBasedStateMachine):
    """Keeps (table, id) -> (owner, data, refs), and looks through all of it.

    What a row is after a reset is another row, even if it has the same id.
    """

    rows = Bundle("rows")

    kind = "memory"
    kept = ExitStack()
    stores: ClassVar[dict[str, Store]] = {}

    @initialize()
    def begin(self) -> None:
        if self.kind not in self.stores:
            self.stores[self.kind] = self.kept.enter_context(STORES[self.kind]())
        self.store = self.stores[self.kind]
        self.store.reset()
        self.model: dict[tuple[str, int], tuple[int | None, dict[str, Any], tuple[Any, ...]]] = {}
        self.made: dict[str, list[int]] = {"tune": [], "like": []}
        self.uids: set[tuple[str, int]] = set()  # since the last reset

    def is_of_now(self, row: Row) -> bool:
        known = self.model.get((row.table, row.id))
        return known is not None and (row.table, row.uid) in self.uids

    # -- what changes rows -----------------------------------------------------------------------
    @rule(target=rows, table=TABLES, owner=OWNERS, data=DATA, refs=REFS)
    def insert(self, table: str, owner: int | None, data: Any, refs: Any) -> Row:
        row = self.store.insert(table, owner, data, refs=refs)
        assert row.id == max([*self.made[table], FIRST_ID.get(table, 1) - 1]) + 1
        assert (row.table, row.uid) not in self.uids
        self.made[table].append(row.id)
        self.uids.add((row.table, row.uid))
        self.model[table, row.id] = (owner, {**data, "id": row.id}, refs)
        return row

    @rule(target=rows, row=rows, changes=DATA, refs=st.none() | REFS)
    def update(self, row: Row, changes: Any, refs: Any) -> Row:
        new = self.store.update(row, changes, refs=refs)
        if self.is_of_now(row):
            owner, data, old = self.model[row.table, row.id]
            known = (owner, {**data, **changes}, old if refs is None else refs)
            self.model[row.table, row.id] = known
            assert (new.owner, dict(new), new.refs) == known
            assert new.rendered == {}
        else:
            assert new is row
        return new

    @rule(row=rows)
    def delete(self, row: Row) -> None:
        """Any version of the row, also one that was deleted already."""
        self.store.delete(row)
        if self.is_of_now(row):
            del self.model[row.table, row.id]

    @rule(table=TABLES, owner=OWNERS, data=DATA, refs=REFS, row=rows, new_refs=REFS, other=rows)
    def fail_in_a_transaction(
        self, table: str, owner: Any, data: Any, refs: Any, row: Row, new_refs: Any, other: Row
    ) -> None:
        def act() -> None:
            made = self.store.insert(table, owner, data, refs=refs)
            self.store.update(row, data, refs=new_refs)
            with self.store.transaction():
                self.store.delete(other)
                self.store.update(made, {"title": 9}, refs=new_refs)
            self.store.update(row, {"title": 8}, refs=refs)

        with pytest.raises(KeyError):
            failing(self.store, act)

    @rule(target=rows, table=TABLES, owner=OWNERS, data=DATA, refs=REFS, row=rows)
    def succeed_in_a_transaction(
        self, table: str, owner: Any, data: Any, refs: Any, row: Row
    ) -> Row:
        with self.store.transaction():
            made = self.insert(table, owner, data, refs)
            self.delete(row)
        return made

    @rule(row=rows)
    def current(self, row: Row) -> None:
        found = self.store.current(row)
        assert (found is not None) is self.is_of_now(row)
        assert found is None or found is self.store.get(row.table, row.id)

    # -- what reads them -------------------------------------------------------------------------
    @rule(
        table=TABLES,
        owner=OWNERS,
        ref=st.sampled_from([None, 5, 6, "pack:5"]),
        before=st.none() | st.integers(0, 6),
        offset=st.integers(0, 3),
        limit=st.none() | st.integers(0, 3),
        test=st.sampled_from([None, even]),
    )
    def find(
        self, table: str, owner: Any, ref: Any, before: Any, offset: int, limit: Any, test: Any
    ) -> None:
        before_id = None if before is None else FIRST_ID.get(table, 1) + before
        found = self.store.find(table, Query(owner, ref, before_id, offset, limit, test))
        ids = [
            id
            for (of, id), (its_owner, _, refs) in sorted(self.model.items(), reverse=True)
            if of == table
            and its_owner == owner
            and (ref is None or ref in refs)
            and (before_id is None or id < before_id)
            and (test is None or id % 2 == 0)
        ]
        assert [row.id for row in found] == ids[offset : None if limit is None else offset + limit]

    @rule(target=rows)
    def put_back_what_is_there(self) -> MultipleResults[Row]:
        """The rows are new ones by then, whatever their ids."""
        rows, ids = self.store.rows(), self.store.next_ids()
        with self.store.transaction():
            self.store.reset()
            new = [
                self.store.insert(row.table, row.owner, row.data, id=row.id, refs=row.refs)
                for row in rows
            ]
            self.store.set_next_ids(ids)
        assert not {(row.table, row.uid) for row in new} & self.uids
        self.uids = {(row.table, row.uid) for row in new}
        return multiple(*new)

    @rule(table=TABLES, owner=OWNERS, data=DATA, refs=REFS)
    def fail_after_a_reset(self, table: str, owner: Any, data: Any, refs: Any) -> None:
        before = self.store.rows()

        def act() -> None:
            self.store.reset()
            assert self.store.rows() == []
            self.store.insert(table, owner, data, id=FIRST_ID.get(table, 1), refs=refs)
            self.store.set_next_ids({table: 9_000_000_000})

        with pytest.raises(KeyError):
            failing(self.store, act)
        assert [row.uid for row in self.store.rows()] == [row.uid for row in before]

    @invariant()
    def all_rows_are_those_of_the_model(self) -> None:
        found = [(row.table, row.id) for row in self.store.rows()]
        assert found == sorted(self.model)

    @invariant()
    def rows_are_those_of_the_model(self) -> None:
        for table in ("tune", "like"):
            for id in self.made[table]:
                row = self.store.get(table, id)
                known = self.model.get((table, id))
                assert (row and (row.owner, dict(row), row.refs)) == known

    @rule()
    def reset(self) -> None:
        self.store.reset()
        self.model.clear()
        self.uids.clear()
        for ids in self.made.values():
            ids.clear()


class SqliteMachine(StoreMachine):
    kind = "sqlite"


class PostgresMachine(StoreMachine):
    kind = "postgres"


@pytest.fixture(scope="module", autouse=True)
def close_stores() -> Iterator[None]:
    yield
    StoreMachine.kept.close()


TestMemoryStoreIsItsModel = StoreMachine.TestCase
TestSqliteStoreIsItsModel = SqliteMachine.TestCase
TestPostgresStoreIsItsModel = PostgresMachine.TestCase
TestMemoryStoreIsItsModel.settings = settings(
    derandomize=True, deadline=None, max_examples=80, stateful_step_count=30
)
TestSqliteStoreIsItsModel.settings = settings(TestMemoryStoreIsItsModel.settings, max_examples=40)
TestPostgresStoreIsItsModel.settings = settings(TestMemoryStoreIsItsModel.settings, max_examples=20)
