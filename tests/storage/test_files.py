"""Where bytes are kept: keys, and what they lead to."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_emulator.storage.file_keys import KEY, base36
from astria_emulator.storage.files import File
from astria_emulator.storage.memory_files import MemoryFiles
from astria_emulator.storage.memory_store import MemoryStore
from astria_emulator.storage.own_folders import claim

PLACES = st.text(st.characters(codec="utf-8"), max_size=90)
CONTENTS = st.binary(max_size=20) | st.dictionaries(
    st.sampled_from("ab"), st.integers(), max_size=2
)
HISTORY = st.tuples(st.integers(0, 3), PLACES, CONTENTS)


@given(HISTORY)
@settings(derandomize=True, deadline=None, max_examples=100)
def test_key_has_the_services_shape_and_leads_to_the_file(history: tuple[int, str, Any]) -> None:
    seed, place, content = history
    files = MemoryFiles(MemoryStore(), seed)
    key = files.put(place, "image/png", content)
    assert KEY.fullmatch(key)
    kept = {"data": content} if isinstance(content, bytes) else {"recipe": content}
    assert files.get(key) == File(key, "image/png", **kept)


@given(HISTORY, HISTORY)
@settings(derandomize=True, deadline=None, max_examples=200)
def test_keys_are_equal_only_in_the_same_history(
    one: tuple[int, str, Any], other: tuple[int, str, Any]
) -> None:
    keys = [
        MemoryFiles(MemoryStore(), seed).put(place, "", content)
        for seed, place, content in (one, other, one)
    ]
    assert keys[0] == keys[2]
    assert (keys[0] == keys[1]) is (one == other)


def test_equal_files_at_two_places_have_two_keys() -> None:
    files = MemoryFiles(MemoryStore(), 0)
    places = ["a" * 80 + "/0", "a" * 80 + "/1"]  # longer than a hash's key may be
    assert len({files.put(place, "image/png", b"x") for place in places}) == 2


def test_key_of_a_recipe_does_not_depend_on_the_order_of_its_names() -> None:
    keys = {
        MemoryFiles(MemoryStore(), 0).put("p", "", recipe)
        for recipe in ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    }
    assert len(keys) == 1


def test_deleted_file_is_gone_and_the_others_stay() -> None:
    files = MemoryFiles(MemoryStore(), 0)
    keys = [files.put(f"p/{index}", "", b"x") for index in range(3)]
    files.delete([keys[1], "unknown"])
    assert [files.get(key) is not None for key in keys] == [True, False, True]
    files.delete([])
    files.reset()
    assert [files.get(key) for key in keys] == [None, None, None]


@given(st.binary(min_size=24, max_size=24), st.binary(min_size=24, max_size=24))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_base36_text_is_28_digits_of_the_digest(one: bytes, other: bytes) -> None:
    assert KEY.fullmatch(base36(one))
    values = [int.from_bytes(digest) % 36**28 for digest in (one, other)]
    assert (base36(one) == base36(other)) is (values[0] == values[1])


def test_base36_text_begins_with_the_lowest_digit() -> None:
    assert base36((36 + 35).to_bytes(24)) == "z1" + "0" * 26


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of a backend's."""
    claim(tmp_path / "own", "")
    return tmp_path / "own"


def test_file_of_others_on_disk_is_copied_and_stays(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    files = MemoryFiles(MemoryStore(), 0)
    keys = [files.put("p/1", "", weights), files.put("p/2", "", weights)]
    files.delete(keys[:1])
    files.reset()
    assert weights.read_bytes() == b"weights"


def test_file_on_disk_is_taken_over_and_erased_with_its_key(own: Path) -> None:
    files = MemoryFiles(MemoryStore(), 0)
    paths = [own / name for name in "abc"]
    for path in paths:
        path.write_bytes(b"weights")
    keys = [files.put(f"p/{path.name}", "", path) for path in paths]
    assert files.get(keys[0]) == File(keys[0], "", path=paths[0])
    assert len(set(keys)) == 3
    files.delete(keys[1:2])
    assert [path.exists() for path in paths] == [True, False, True]
    files.reset()
    assert not paths[2].exists()


def test_key_of_a_file_on_disk_cannot_be_computed(tmp_path: Path) -> None:
    keys = []
    for folder in "ab":
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "weights"
        path.write_bytes(b"weights")
        os.utime(path, (1, 1))
        keys.append(MemoryFiles(MemoryStore(), 0).put("tune/1/weights", "", path))
    assert all(KEY.fullmatch(key) for key in keys)
    assert keys[0] != keys[1]


def test_files_that_are_held_can_be_read_whatever_becomes_of_them(own: Path) -> None:
    weights = own / "weights"
    weights.write_bytes(b"weights")
    files = MemoryFiles(MemoryStore(), 0)
    keys = [files.put("p/1", "a/b", weights), files.put("p/2", "", b"x"), files.put("p/3", "", {})]
    held = files.hold()
    files.reset()
    assert not weights.exists()
    assert [file.content for file in held.files] == [b"weights", b"x", {}]
    assert [file.key for file in held.files] == keys


def test_room_of_held_files_goes_with_them(own: Path) -> None:
    weights = own / "weights"
    weights.write_bytes(b"weights")
    files = MemoryFiles(MemoryStore(), 0)
    files.put("p/1", "", weights)
    held = files.hold()
    path = held.files[0].path
    assert path is not None
    assert path.exists()
    del held
    assert not path.parent.exists()
    assert weights.exists()


def test_restored_file_is_a_copy_under_its_key(own: Path) -> None:
    weights = own / "weights"
    weights.write_bytes(b"weights")
    source, files = (MemoryFiles(MemoryStore(), 0) for _ in range(2))
    key = source.put("p/1", "a/b", weights)
    held = source.hold()
    for _ in range(2):  # as often as one likes
        files.reset()
        files.restore(held.files[0])
    source.reset()
    file = files.get(key)
    assert file
    assert (file.content, file.content_type) == (b"weights", "a/b")
    files.delete([key])
    assert file.path is not None
    assert not file.path.exists()


def test_reset_that_fails_leaves_every_file(own: Path) -> None:
    weights = own / "weights"
    weights.write_bytes(b"weights")
    store = MemoryStore()
    files = MemoryFiles(store, 0)
    keys = [files.put("p/1", "", weights), files.put("p/2", "", b"x")]

    def fail() -> None:
        with store.transaction():
            files.reset()
            files.put("p/2", "", b"x")
            files.restore(File("0" * 28, "", path=weights))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [files.get(key) is not None for key in (*keys, "0" * 28)] == [True, True, False]
    files.delete(keys)
    assert not weights.exists()
