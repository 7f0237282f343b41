"""The store against a plain model of it, transactions that fail, and the job table."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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

from astria_emulator.storage.store import CALLBACKS, EXPIRY, FIRST_ID, WORK, Job, Query, Row, Store
from tests import PATIENCE_SECONDS
from tests.databases import STORES

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TABLES = st.sampled_from(["tune", "like"])
OWNERS = st.sampled_from([None, 1, 2])
REFS = st.lists(st.sampled_from([5, 6, "pack:5"]), max_size=3).map(tuple)
DATA = st.dictionaries(st.sampled_from(["title", "state"]), st.integers(0, 3), max_size=2)


LANES = (WORK, EXPIRY, CALLBACKS)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def failing(store: Store, act: Callable[[], object]) -> None:
    """Do something in a transaction that then fails."""
    with store.transaction():
        act()
        raise KeyError


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


# -- rows ----------------------------------------------------------------------------------------
def test_id_is_not_used_again_when_its_row_was_deleted(store: Store) -> None:
    first = store.insert("tune", 1, {})
    store.delete(first)
    assert store.insert("tune", 1, {}).id == first.id + 1


def test_first_ids_are_above_those_of_the_gallery(store: Store) -> None:
    store.insert("tune", None, {}, id=690204)
    assert {table: store.insert(table, 1, {}).id for table in (*FIRST_ID, "like")} == {
        "tune": 5_000_001,
        "prompt": 45_000_001,
        "pack": 5_001,
        "like": 1,
    }


def test_row_is_a_mapping_that_a_change_leaves_as_it_was(store: Store) -> None:
    row = store.insert("tune", 1, {"title": "a"})
    row.rendered["Tune"] = b"{}"
    new = store.update(row, {"title": "b"})
    assert (dict(row), len(row), row.rendered) == (
        {"title": "a", "id": row.id},
        2,
        {"Tune": b"{}"},
    )
    assert (new["title"], new.rendered) == ("b", {})


def test_change_is_made_to_the_newest_version(store: Store) -> None:
    old = store.insert("tune", 1, {"a": 1, "b": 1})
    store.update(old, {"a": 2})
    assert dict(store.update(old, {"b": 2})) == {"a": 2, "b": 2, "id": old.id}


def test_deleted_row_stays_deleted_when_it_is_changed(store: Store) -> None:
    row = store.insert("tune", 1, {})
    store.delete(row)
    store.update(row, {"title": "a"}, refs=(5,))
    assert store.get("tune", row.id) is None
    assert store.find("tune", Query(1, ref=5)) == []


def test_next_ids_are_told_and_set(store: Store) -> None:
    assert store.next_ids() == {}
    store.insert("tune", None, {}, id=690204)
    store.insert("tune", 1, {})
    store.insert("like", 1, {})
    assert store.next_ids() == {"tune": 5_000_002, "like": 2}
    store.set_next_ids({"like": 70, "prompt": 45_000_009})
    assert [store.insert(table, 1, {}).id for table in ("tune", "like", "prompt")] == [
        5_000_002,
        70,
        45_000_009,
    ]


def test_all_rows_are_by_table_and_id(store: Store) -> None:
    for table, id in (("tune", 9), ("like", 3), ("tune", 700), ("like", 20)):
        store.insert(table, None, {"at": NOW}, id=id)
    rows = store.rows()
    assert [(row.table, row.id) for row in rows] == [
        ("like", 3), ("like", 20), ("tune", 9), ("tune", 700),
    ]  # fmt: skip
    assert dict(rows[0]) == {"at": NOW, "id": 3}


def test_row_from_before_a_reset_does_not_touch_the_new_one(store: Store) -> None:
    old = store.insert("tune", 1, {"title": "old"})
    store.reset()
    new = store.insert("tune", 2, {"title": "new"})
    store.update(old, {"title": "changed"})
    assert store.get("tune", new.id) == new
    store.delete(old)
    assert store.get("tune", new.id) is not None


# -- transactions --------------------------------------------------------------------------------
def test_transaction_that_fails_takes_jobs_back_and_calls_what_it_was_given(
    store: Store,
) -> None:
    row = store.insert("tune", 1, {})
    kept = store.add_job("train_tune", row, NOW)
    called: list[int] = []

    def act() -> None:
        store.on_rollback(lambda: called.append(1))
        store.cancel_jobs(row)
        store.add_job("expire_tune", row, NOW)
        store.on_rollback(lambda: called.append(2))

    with pytest.raises(KeyError):
        failing(store, act)
    assert called == [2, 1]
    assert store.jobs() == [kept]
    assert store.claim_job(LANES, NOW) is not None


def test_transaction_that_succeeds_calls_nothing(store: Store) -> None:
    called: list[int] = []
    with store.transaction():
        store.on_rollback(lambda: called.append(1))

    def act() -> None:
        pass

    with pytest.raises(KeyError):
        failing(store, act)
    assert called == []


def test_what_fails_after_a_transaction_takes_nothing_back_and_keeps_nothing_up(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[int] = []
    with store.transaction():
        row = store.insert("tune", 1, {})
        store.on_commit(lambda: {}["secret"])
        store.on_commit(lambda: called.append(1))
    assert store.get("tune", row.id) is not None
    assert called == [1]
    assert "KeyError" in caplog.text
    assert "KeyError: 'secret'" not in caplog.text


def test_on_commit_is_called_after_the_outermost_transaction_and_only_if_it_succeeds(
    store: Store,
) -> None:
    called: list[str] = []
    store.on_commit(lambda: called.append("at once"))
    with store.transaction():
        with store.transaction():
            store.on_commit(lambda: called.append("later"))
        assert called == ["at once"]
    assert called == ["at once", "later"]
    with pytest.raises(KeyError):
        failing(store, lambda: store.on_commit(lambda: called.append("never")))
    with store.transaction():
        pass
    assert called == ["at once", "later"]


def test_transaction_within_another_ends_with_it(store: Store) -> None:
    made: list[Row] = []

    def act() -> None:
        with store.transaction():
            made.append(store.insert("tune", 1, {}))
        assert store.get("tune", made[0].id)

    with pytest.raises(KeyError):
        failing(store, act)
    assert store.get("tune", made[0].id) is None


def test_transaction_that_fails_lets_a_running_job_go_on(store: Store) -> None:
    row = store.insert("tune", 1, {})
    store.add_job("train_tune", row, NOW)
    job = store.claim_job(LANES, NOW)
    assert job

    def act() -> None:
        store.cancel_jobs(row)

    with pytest.raises(KeyError):
        failing(store, act)
    assert store.report(job, {}) is True


def test_on_rollback_of_one_thread_does_not_join_another_ones_transaction(
    store: Store,
) -> None:
    called: list[int] = []
    other = threading.Thread(target=lambda: store.on_rollback(lambda: called.append(1)))

    def act() -> None:
        other.start()
        other.join(0.1)  # it may wait for the transaction to end

    with pytest.raises(KeyError):
        failing(store, act)
    other.join(PATIENCE_SECONDS)
    assert called == []


def test_transactions_of_two_threads_do_not_mix(store: Store) -> None:
    order: list[str] = []

    def other() -> None:
        with store.transaction():
            order.append("other")

    thread = threading.Thread(target=other)
    with store.transaction():
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join(PATIENCE_SECONDS)
    assert order == ["first", "other"]


# -- jobs ----------------------------------------------------------------------------------------
def claimed(
    store: Store, now: datetime | None, lanes: Iterable[str] = LANES, **kwargs: Any
) -> list[str]:
    kinds = []
    while job := store.claim_job(lanes, now, **kwargs):
        kinds.append(job.kind)
    return kinds


@pytest.fixture
def row(store: Store) -> Row:
    return store.insert("tune", 1, {})


def test_jobs_are_claimed_in_the_order_of_due_time_and_then_of_id(store: Store, row: Row) -> None:
    for kind, due in (("c", 2), ("a", 1), ("d", 2), ("e", 9), ("b", 1)):
        store.add_job(kind, row, later(due))
    assert [job.kind for job in store.jobs()] == list("abcde")
    assert claimed(store, later(0)) == []
    assert claimed(store, later(2)) == list("abcd")
    assert claimed(store, None) == ["e"]


def test_claimed_job_is_running_with_one_more_attempt(store: Store, row: Row) -> None:
    added = store.add_job("train_tune", row, NOW)
    assert added == Job(added.id, "train_tune", "tune", row.id, row.uid, NOW, home=row.home)
    job = store.claim_job(LANES, later(1))
    assert job == replace(added, state="running", attempt=1)
    assert store.jobs() == [job]


def test_job_that_was_begun_elsewhere_goes_on_from_there(store: Store, row: Row) -> None:
    added = store.add_job("train_tune", row, NOW, attempt=2, progress={"lost": 1})
    assert (added.attempt, added.progress, added.state) == (2, {"lost": 1}, "waiting")
    assert store.jobs() == [added]
    job = store.claim_job(LANES, NOW)
    assert job == replace(added, state="running", attempt=3)
    assert store.end_job(job)


def test_claim_passes_over_jobs_to_skip_and_lanes_that_are_not_asked_for(
    store: Store, row: Row
) -> None:
    kinds = ["a", "b", "expire_tune", "send_callback", "a"]
    jobs = [store.add_job(kind, row, later(at)) for at, kind in enumerate(kinds)]
    assert claimed(store, None, [WORK], skip=[jobs[0]]) == ["b", "a"]
    assert store.next_due(LANES) == later(0)
    assert store.next_due(LANES, skip=[jobs[0]]) == later(2)
    assert store.next_due([CALLBACKS]) == later(3)
    assert [store.has_jobs(lane) for lane in LANES] == [True, True, True]
    assert claimed(store, None, [WORK, CALLBACKS]) == ["a", "send_callback"]
    assert claimed(store, None) == ["expire_tune"]


def test_lane_has_jobs_until_the_last_one_ends(store: Store, row: Row) -> None:
    jobs = [store.add_job(kind, row, NOW) for kind in ("a", "b", "expire_tune")]
    for job in jobs[:2]:
        assert store.has_jobs(WORK)
        store.end_job(job)
    assert [store.has_jobs(lane) for lane in (WORK, EXPIRY)] == [False, True]


def test_claim_stands_until_its_job_ends_or_is_forgotten(store: Store, row: Row) -> None:
    added = [store.add_job("a", row, NOW) for _ in range(3)]
    assert not store.report(added[0], {})
    jobs = [job for _ in added if (job := store.claim_job(LANES, NOW))]
    assert [store.report(job, {}) for job in jobs] == [True, True, True]
    store.end_job(jobs[1])
    assert [store.report(job, {}) for job in jobs] == [True, False, True]
    store.reset()
    assert [store.report(job, {}) for job in jobs] == [False] * 3


def test_job_that_was_claimed_does_not_end_by_what_it_was_before(store: Store, row: Row) -> None:
    waiting = store.add_job("a", row, NOW)
    job = store.claim_job(LANES, NOW)
    assert job
    store.end_job(waiting)
    assert store.report(job, {})


def test_transaction_that_fails_takes_the_end_of_a_job_back(store: Store, row: Row) -> None:
    store.add_job("a", row, NOW)
    job = store.claim_job(LANES, NOW)
    assert job
    with pytest.raises(KeyError):
        failing(store, lambda: store.end_job(job))
    assert store.report(job, {})
    assert store.has_jobs(WORK)
    store.end_job(job)
    assert store.jobs() == []


def test_job_that_is_let_go_waits_again_unless_it_has_ended(store: Store, row: Row) -> None:
    for _ in range(2):
        store.add_job("a", row, NOW)
    ended, kept = (store.claim_job(LANES, NOW) for _ in range(2))
    assert ended
    assert kept
    store.end_job(ended)
    for job in (ended, kept):
        store.release_job(job)
    store.renew_claims()
    assert store.jobs() == [replace(kept, state="waiting")]
    assert store.claim_job(LANES, NOW) == replace(kept, attempt=2)
    store.release_job(kept)  # what another claim of it has begun goes on
    store.renew_claims()
    assert [job.state for job in store.jobs()] == ["running"]


def test_next_due_is_that_of_the_first_waiting_job(store: Store, row: Row) -> None:
    assert store.next_due(LANES) is None
    first, second = (store.add_job("a", row, later(at)) for at in (1, 2))
    assert store.next_due(LANES) == later(1)
    claimed = store.claim_job(LANES, later(1))
    assert claimed == replace(first, state="running", attempt=1)
    assert store.next_due(LANES) == later(2)
    store.end_job(second)
    assert store.next_due(LANES) is None
    assert store.jobs() == [claimed]


def test_ended_job_is_not_claimed_and_ends_only_once(store: Store, row: Row) -> None:
    job = store.add_job("a", row, NOW)
    store.end_job(job)
    store.end_job(job)
    assert store.claim_job(LANES, None) is None


def test_cancelling_drops_waiting_jobs_and_asks_running_ones_to_stop(
    store: Store, row: Row
) -> None:
    other = store.insert("tune", 1, {})
    for _ in range(2):
        store.add_job("a", row, NOW)
    kept = store.add_job("b", other, NOW)
    running = store.claim_job(LANES, NOW)
    assert running
    assert store.report(running, {"steps": 1}) is True
    assert store.jobs()[0].progress == {"steps": 1}
    store.cancel_jobs(row)
    assert [job.id for job in store.jobs()] == [running.id, kept.id]
    assert store.report(running, {"steps": 2}) is False
    store.end_job(running)
    assert store.report(running, {"steps": 3}) is False


def test_reset_forgets_jobs(store: Store, row: Row) -> None:
    store.add_job("a", row, NOW)
    store.reset()
    assert (store.jobs(), store.next_due(LANES), store.claim_job(LANES, None)) == ([], None, None)


def test_reset_that_fails_leaves_jobs_and_claims_as_they_were(store: Store, row: Row) -> None:
    for _ in range(2):
        store.add_job("a", row, NOW)
    running = store.claim_job(LANES, NOW)
    assert running

    def act() -> None:
        store.reset()
        store.add_job("b", store.insert("tune", 1, {}), NOW)

    with pytest.raises(KeyError):
        failing(store, act)
    assert [(job.kind, job.state) for job in store.jobs()] == [("a", "running"), ("a", "waiting")]
    assert store.report(running, {})
    assert claimed(store, NOW) == ["a"]
    assert store.end_job(running)


def test_job_from_before_a_reset_does_not_end_a_new_one(store: Store, row: Row) -> None:
    old = store.add_job("a", row, NOW)
    store.reset()
    new = store.add_job("b", store.insert("tune", 1, {}), NOW)
    store.end_job(old)
    assert store.jobs() == [new]
    assert store.report(old, {}) is False
