"""Rows of a store, and its transactions."""

import threading

import pytest

from astria_emulator.storage.store import FIRST_ID, Query, Row, Store
from tests import PATIENCE_SECONDS
from tests.storage.store_cases import LANES, NOW, failing


# -- rows ------------------------------------------------------------------------------------------
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


# -- transactions ----------------------------------------------------------------------------------
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
