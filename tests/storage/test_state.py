"""A server's state: taken of a store of any kind, put into one of any kind, and the same there."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from astria_emulator.control import archive
from astria_emulator.storage.files import File, Files
from astria_emulator.storage.folder_files import FolderFiles
from astria_emulator.storage.memory_files import MemoryFiles
from astria_emulator.storage.memory_store import MemoryStore
from astria_emulator.storage.state import State, take
from astria_emulator.storage.store import CALLBACKS, WORK, Query, Row, Store
from tests.spec.compiled import SPEC

NOW = datetime(2026, 1, 1, 0, 0, 1, 500_250, tzinfo=UTC)
KEY = "k" * 28
GALLERY_KEY = "g" * 28


def files_for(store: Store, folder: Path) -> Files:
    return (
        MemoryFiles(store, 0) if isinstance(store, MemoryStore) else FolderFiles(store, 0, folder)
    )


def taken(store: Store, files: Files) -> State:
    with store.transaction():
        return take(store, files, seed=7, now=NOW)


def put(state: State, store: Store, files: Files) -> None:
    with store.transaction():
        store.reset()
        files.reset()
        state.put(store, files)


def archived(state: State) -> bytes:
    return b"".join(archive.write(state, "1.2.3"))


def objects(title: str) -> dict[str, Any]:
    """What a tune has besides its title, as far as a state asks for it."""
    times = {"created_at": NOW, "updated_at": NOW, "eta": NOW}
    times["started_training_at"] = NOW
    blank = dict.fromkeys(("expires_at", "trained_at", "model_type", "token", "origin"))
    blank |= dict.fromkeys(("callback", "base_tune_id", "steps", "workspace_id"))
    fixed = {"name": "woman", "branch": "fast", "state": "training", "home_base_id": 690204}
    fields = {"image_keys": [KEY], "is_api": True, "auto_extend": False}
    return {"title": title, **fixed, **fields, **blank, **times}


def fill(store: Store, files: Files) -> Row:
    """Rows of an account and of the gallery, work of each kind, and files of each kind."""
    store.insert("tune", None, {"title": "Base", "image_keys": [GALLERY_KEY]}, id=690204)
    about = {"name": "Developer", "email": "a@example.com", "idempotency": None}
    store.insert("user", None, {**about, "created_at": NOW}, refs=(f"key:{64 * '0'}",))
    gone = store.insert("tune", 1, {"title": "deleted"})
    store.add_job("start_tune", gone, NOW)
    tune = store.insert("tune", 1, objects("Jäne <3"), refs=("title:Jäne <3", 690204))
    delivery_fields = {
        "object": "tune",
        "object_id": tune.id,
        "url": "http://a.test",
        "state": "recorded",
    }
    calls = [
        store.insert(
            "delivery", None, {**delivery_fields, "body": {"tune": {}}, "at": NOW}, refs=refs
        )
        for refs in (("open:tune:1",), ("before:1",))
    ]
    store.add_job("train_tune", tune, NOW + timedelta(seconds=60))
    store.add_job("train_on_slot", tune, NOW + timedelta(days=30))
    store.add_job("send_callback", calls[0], NOW, receiver="a.test:80")
    store.insert("setting", None, {"idempotency": True}, id=1)
    files.restore(File(GALLERY_KEY, "image/jpeg", recipe={"address": "gallery"}))
    files.restore(File(KEY, "image/jpeg", data=b"photograph" * 100))
    files.restore(File("r" * 28, "video/mp4", recipe={"clip": "1:1", "index": 0}))
    job = store.claim_job([WORK], NOW)
    assert job
    store.cancel_jobs(gone)
    store.delete(gone)
    assert store.claim_job([CALLBACKS], NOW)
    return tune


@pytest.fixture
def source(tmp_path: Path) -> State:
    """The state of a server in memory."""
    store = MemoryStore()
    files = files_for(store, tmp_path)
    fill(store, files)
    return taken(store, files)


@pytest.fixture
def files(store: Store, tmp_path: Path) -> Files:
    return files_for(store, tmp_path / "files")


def test_state_is_the_same_bytes_whatever_keeps_it(
    store: Store, files: Files, source: State
) -> None:
    fill(store, files)
    assert archived(taken(store, files)) == archived(source)


def test_state_is_the_same_once_it_was_put_back(store: Store, files: Files, source: State) -> None:
    for _ in range(2):
        put(source, store, files)
        assert archived(taken(store, files)) == archived(source)


def test_state_is_the_same_once_it_was_read_from_an_archive(
    store: Store, files: Files, source: State
) -> None:
    put(archive.load(BytesIO(archived(source)), 10**6, SPEC), store, files)
    assert archived(taken(store, files)) == archived(source)
    file = files.get(KEY)
    assert file
    assert file.content == b"photograph" * 100


def test_gallery_and_what_is_gone_are_no_part_of_it(source: State) -> None:
    assert {(row.table, row.id) for row in source.rows} == {
        ("tune", 5_000_002), ("user", 1), ("delivery", 1), ("delivery", 2), ("setting", 1),
    }  # fmt: skip
    kinds = sorted(job.kind for job in source.jobs)
    assert kinds == ["send_callback", "train_on_slot", "train_tune"]
    assert [file.key for file in source.files.files] == [KEY, "r" * 28]
    assert source.counts == {
        "objects": {"tune": 1, "prompt": 0, "pack": 0, "workspace": 0}, "jobs": 3, "files": 2,
    }  # fmt: skip


def test_rows_that_were_put_back_are_new_ones_and_jobs_are_theirs(
    store: Store, files: Files
) -> None:
    old = fill(store, files)
    put(taken(store, files), store, files)
    new = store.get("tune", old.id)
    assert new
    assert store.current(old) is None
    assert (dict(new), new.refs, new.owner) == (dict(old), old.refs, old.owner)
    targets = {(job.table, job.target): job.target_uid for job in store.jobs()}
    assert targets["tune", old.id] == new.uid
    store.delete(old)
    assert store.get("tune", old.id) is not None
    assert store.find("tune", Query(1, ref="title:Jäne <3")) == [new]


def test_ids_go_on_as_they_were(store: Store, files: Files, source: State) -> None:
    put(source, store, files)
    ids = [store.insert(table, 1, {}).id for table in ("tune", "delivery", "user", "prompt")]
    assert ids == [5_000_003, 3, 2, 45_000_001]


def test_work_that_was_under_way_waits_and_tells_that_it_was_begun(
    store: Store, files: Files, source: State
) -> None:
    put(source, store, files)
    assert {job.state for job in store.jobs()} == {"waiting"}
    attempts = {job.kind: job.attempt for job in store.jobs()}
    assert attempts == {"train_tune": 0, "train_on_slot": 0, "send_callback": 1}
    job = store.claim_job([CALLBACKS], None)
    assert job
    assert job.attempt == 2  # and so it is not sent again
    assert job.receiver == "a.test:80"


def test_put_that_fails_loses_nothing(
    store: Store, files: Files, source: State, tmp_path: Path
) -> None:
    fill(store, files)
    before = archived(taken(store, files))
    other = replace(source, rows=source.rows[:2], files=replace(source.files, files=[]))

    def fail() -> None:
        with store.transaction():
            store.reset()
            files.reset()
            other.put(store, files)  # whose jobs have no objects

    with pytest.raises(KeyError):
        fail()
    assert archived(taken(store, files)) == before


def test_state_has_its_files_when_they_are_deleted(store: Store, files: Files) -> None:
    fill(store, files)
    state = taken(store, files)
    files.delete([KEY])
    assert files.get(KEY) is None
    put(state, store, files)
    file = files.get(KEY)
    assert file
    assert file.content == b"photograph" * 100


@pytest.mark.parametrize("origin", ["http://other.test", None])
def test_addresses_begin_with_the_origin_of_the_other_server(
    origin: str | None, source: State
) -> None:
    moved = source.at(origin)
    assert {row["origin"] for row in moved.rows if "origin" in row} == {origin}
    same = [row for row in moved.rows if "origin" not in row]
    assert same == [row for row in source.rows if "origin" not in row]


def test_times_are_kept_to_the_microsecond(source: State) -> None:
    read = archive.load(BytesIO(archived(source)), 10**6, SPEC)
    assert read.now == NOW
    assert [row["eta"] for row in read.rows if row.table == "tune"] == [NOW]
    assert {job.due for job in read.jobs} == {job.due for job in source.jobs}


def test_ids_of_rows_that_somebody_has_added_are_not_given_again(source: State) -> None:
    def added(state: State) -> State:
        row = next(row for row in state.rows if row.table == "tune")
        return replace(state, rows=[*state.rows, replace(row, id=5_000_009)])

    assert archive.load(BytesIO(archived(added(source))), 10**6, SPEC).next_ids["tune"] == 5_000_010
