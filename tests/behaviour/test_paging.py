"""Pages: three ways through a list give the same list."""

import pytest

LISTS = ("/tunes", "/prompts", "/tunes/690204/prompts")


def ids(api, path):
    return [row["id"] for row in api.get(path)]


def fill(api, path, count):
    make = api.tune if path == "/tunes" else lambda: api.prompt(690204, num_images=1)
    return [make()["id"] for _ in range(count)][::-1]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("size", [1, 3, 7, 8])
def test_pages_by_before_id_and_by_offset_are_the_whole_list(api, path, size):
    everything = fill(api, path, 7)
    assert ids(api, path) == everything
    by_offset, by_id = [], []
    while page := ids(api, f"{path}?limit={size}&offset={len(by_offset)}"):
        by_offset += page
    before = ""
    while page := ids(api, f"{path}?limit={size}{before}"):
        by_id += page
        before = f"&before_id={page[-1]}"
    assert by_offset == by_id == everything


def test_page_by_before_id_does_not_shift_when_something_new_is_made(api):
    everything = fill(api, "/prompts", 4)
    first = ids(api, "/prompts?limit=2")
    api.prompt(690204)
    assert first + ids(api, f"/prompts?limit=2&before_id={first[-1]}") == everything


def test_filter_comes_before_the_page(api):
    for at in range(6):
        api.prompt(690204, "even" if at % 2 == 0 else "odd")
    even = ids(api, "/prompts?text=even")
    assert len(even) == 3
    assert ids(api, "/prompts?text=even&limit=2&offset=1") == even[1:]
    assert ids(api, f"/prompts?text=even&before_id={even[0]}") == even[1:]


@pytest.mark.parametrize("path", LISTS)
def test_page_holds_twenty_by_default(api, path):
    everything = fill(api, path, 21)
    assert ids(api, path) == everything[:20]
    assert ids(api, f"{path}?offset=20") == everything[20:]
    assert ids(api, f"{path}?limit=&offset=") == everything[:20]


def test_limit_above_120_counts_as_120(api):
    tunes = [690204] * 13
    for _ in range(13):
        theme = {"theme": "a", "tune_ids": tunes[:1]}
        assert api.call("POST", "/themes", json={"theme": theme}).status_code == 201
    assert len(ids(api, "/prompts?limit=119")) == 119
    for limit in (120, 121, 1000, 10**15):
        assert len(ids(api, f"/prompts?limit={limit}")) == 120
    assert len(ids(api, "/prompts?limit=1000&offset=120")) == 10


@pytest.mark.parametrize(
    ("path", "deepest"),
    [
        ("/tunes", 200),
        ("/gallery/tunes", 200),
        ("/prompts", 10000),
        ("/tunes/690204/prompts", 10000),
    ],
)
def test_offset_that_is_too_deep_is_refused_and_names_before_id(api, path, deepest):
    assert api.get(f"{path}?offset={deepest}") == []
    for offset in (deepest + 1, 10**9, 10**30):
        answer = api.call("GET", f"{path}?offset={offset}")
        assert answer.status_code == 400
        assert answer.json["status"] == 400
        assert "before_id" in answer.json["error"]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=x", "offset=-1", "offset=1.5", "before_id=0", "before_id=x",
     "before_id=99999999999999999999", "tune_id=x", "liked=perhaps", "expand[]=everything"],
)  # fmt: skip
def test_query_that_cannot_be_read_is_a_bad_request(api, query):
    answer = api.call("GET", f"/prompts?{query}")
    assert answer.status_code == 400
    assert answer.json["status"] == 400
    assert query.partition("=")[0].removesuffix("[]") in answer.json["error"]


def test_list_has_no_totals_or_links(api):
    api.tune()
    answer = api.call("GET", "/tunes?limit=1")
    assert isinstance(answer.json, list)
    assert not {"Link", "Total", "X-Total", "X-Total-Count"} & {name for name, _ in answer.headers}
