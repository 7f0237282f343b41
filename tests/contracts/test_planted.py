"""A property that has never been red is none: each planted bug turns some of them red."""

import ast
import copy
from collections.abc import Callable

import bugs_accounts
import bugs_attributes
import bugs_callbacks
import bugs_errors
import bugs_lifecycle
import bugs_packs
import bugs_pictures
import bugs_requests
import pytest
from planting import Bug

from astria_contracts.spec.document import Document, read_document
from astria_emulator.app import Emulator
from astria_emulator.errors import TooLarge
from tools.suite_runs import PROPERTIES, run_properties

BUGS = (
    *bugs_accounts.BUGS,
    *bugs_attributes.BUGS,
    *bugs_callbacks.BUGS,
    *bugs_errors.BUGS,
    *bugs_lifecycle.BUGS,
    *bugs_packs.BUGS,
    *bugs_pictures.BUGS,
    *bugs_requests.BUGS,
)
LIMITS = {"train_seconds": 30, "prompt_seconds": 10, "max_file_mb": 4, "max_body_mb": 20}
# Properties that look at the suite's own tables, and at no server.
OF_TABLES = {
    "witnesses::every_witness_has_a_name_of_its_own",
    "witnesses::every_row_of_a_table_is_of_a_witness",
}
# Those that are turned red by a test of their own, below.
APART = {
    "determinism::same_history_gives_the_same_answers",
    "errors::body_that_is_too_large_is_refused_before_it_is_read",
    "witnesses::request_fits_the_contract",
    "witnesses::body_fits_the_contract",
}
# Schemathesis' cases have no node of their own, and those of one operation are enough.
GENERATED, OF_ONE = (
    "generated::generated_case_is_answered_as_the_contract_says",
    "users or sequence",
)


def node(name: str) -> str:
    file, _, function = name.partition("::")
    return f"test_{file}.py::test_{function}"


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bug_is_found(
    bug: Bug,
    make_app: Callable[..., Emulator],
    serve: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
):
    app = make_app(**LIMITS)
    bug.plant(monkeypatch, app)
    if GENERATED in bug.found_by:
        found = run_properties(serve(app), "test_generated.py", only=OF_ONE)
    else:
        found = run_properties(serve(app), *map(node, bug.found_by))
    expected = {node(name).partition("[")[0] for name in bug.found_by}
    assert expected - found.red == set()


def test_history_on_a_clock_that_goes_is_found_to_differ(monkeypatch: pytest.MonkeyPatch):
    on_a_real_clock = ["--train-seconds", "0", "--log-level", "error"]
    monkeypatch.setattr("astria_contracts.client.discovery.EMULATOR", on_a_real_clock)
    name = node("determinism::same_history_gives_the_same_answers")
    assert run_properties("", name).red == {name}


def test_refusal_of_a_large_body_in_other_words_is_found(
    make_app: Callable[..., Emulator], serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(TooLarge, "body", {"message": "too large"})
    name = node("errors::body_that_is_too_large_is_refused_before_it_is_read")
    assert run_properties(serve(make_app(**LIMITS)), name).red == {name}


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ("TuneFields", "witnesses::request_fits_the_contract"),
        ("Tune", "witnesses::body_fits_the_contract"),
    ],
)
def test_contract_that_wants_more_than_is_documented_is_found(
    schema: str, name: str, monkeypatch: pytest.MonkeyPatch
):
    from astria_contracts.properties import test_witnesses

    raw = copy.deepcopy(dict(read_document().raw))
    raw["components"]["schemas"][schema]["required"].append("a_field_of_our_own")
    monkeypatch.setattr(test_witnesses, "DOCUMENT", Document(raw))
    assert run_properties("", node(name)).red == {node(name)}


def test_every_property_is_turned_red_by_a_bug():
    written = {
        f"{path.stem.removeprefix('test_')}::{function.name.removeprefix('test_')}"
        for path in sorted(PROPERTIES.glob("test_*.py"))
        for function in ast.parse(path.read_text()).body
        if isinstance(function, ast.FunctionDef) and function.name.startswith("test_")
    }
    found = {name.partition("[")[0] for bug in BUGS for name in bug.found_by}
    assert written == found | APART | OF_TABLES


def test_every_bug_has_a_name_of_its_own():
    names = [bug.name for bug in BUGS]
    assert len(set(names)) == len(names)
