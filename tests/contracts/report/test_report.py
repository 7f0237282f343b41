"""What a run leaves: a report as data, lines and a page, and a comparison with another one."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from planting import intercept, json_answer
from wire_changes import change_fields

from astria_contracts.__main__ import main
from astria_contracts.report.compare import FORM, NoReport, comparison, read_report
from astria_contracts.report.page import render
from astria_contracts.report.terminal import lines, plain
from astria_emulator.app import Emulator
from tools.suite_runs import run_properties

LIKES, VALUES = "test_likes.py", "test_values.py::test_tune_reads_back"
MARKUP = "<script>alert('key sd_contracts_second')</script>"
broken_name = change_fields("/tunes", lambda tune: {"name": MARKUP}, method="POST")
denied = intercept(lambda environ, call: json_answer(500, {"status": 500, "error": MARKUP}))


@pytest.fixture
def report_of(
    make_app: Callable[..., Emulator],
    serve: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Callable[..., dict[str, Any]]:
    """Runs properties against an emulator with a bug, and reads the report."""

    def run(plant: Any, *names: str, flags: tuple[str, ...] = ()) -> dict[str, Any]:
        app = make_app()
        if plant:
            plant(monkeypatch, app)
        files = (f"--astria-report={tmp_path}", f"--junitxml={tmp_path / 'junit.xml'}")
        run_properties(serve(app), *names, flags=(*files, *flags))
        return json.loads((tmp_path / "report.json").read_text())

    return run


@pytest.fixture
def kept(report_of: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return report_of(None, LIKES)


# -- a run -----------------------------------------------------------------------------------------
def test_report_of_a_kept_contract_counts_what_holds(kept: dict[str, Any], tmp_path: Path):
    assert (kept["form"], kept["verdict"], kept["error"]) == (FORM, "kept", "")
    assert kept["totals"] == {"passed": len(kept["properties"]), "failed": 0, "skipped": 0}
    assert kept["classes"] == {"Likes": kept["totals"]}
    liked = next(one for one in kept["operations"] if one["id"] == "like_prompt")
    assert liked["statuses"]["201"] > 0
    assert liked["passed"] == kept["totals"]["passed"]
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_failure_shows_its_case_and_the_requests_that_show_it(report_of, tmp_path):
    report = report_of(broken_name, VALUES)
    [found] = report["properties"]
    assert (report["verdict"], found["outcome"], found["class"]) == ("broken", "failed", "Values")
    assert "sent=" in found["case_shown"]
    last = found["exchanges"][-1]
    assert last["curl"].startswith("curl -X ")
    assert '"Authorization: Bearer $ASTRIA_API_KEY"' in last["curl"]
    assert last["status"] in (200, 201)
    text = "\n".join(lines(report))
    assert "FAILED  Values: Tune reads back" in text
    assert last["curl"] in text
    assert text.splitlines()[-1].startswith("BROKEN")
    [case] = ElementTree.parse(tmp_path / "junit.xml").iter("testcase")
    assert case.find("failure") is not None


def test_report_never_shows_a_key_and_escapes_what_a_server_says(report_of, tmp_path):
    report_of(denied, LIKES)
    for name in ("report.json", "report.html", "junit.xml"):
        text = (tmp_path / name).read_text()
        assert "sd_contracts" not in text, name
    page = (tmp_path / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_skipped_properties_are_counted_with_their_reason(report_of):
    report = report_of(None, LIKES, "test_expiry.py", flags=("--astria-lacks=clock",))
    [(reason, count)] = report["skipped"].items()
    assert count == report["totals"]["skipped"] == report["classes"]["Expiry"]["skipped"]
    assert any(reason in line for line in lines(report, 200))


def test_run_that_skips_everything_is_no_success(report_of):
    report = report_of(None, "test_expiry.py", flags=("--astria-lacks=clock",))
    assert (report["verdict"], report["error"]) == ("untested", "every property was skipped")


# -- the command -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("flags", "said_of_it"),
    [
        (["--target", "http://127.0.0.1:9"], "does not answer"),
        (["--lacks", "luck"], "capability 'luck': expected one of"),
        (["--target", "ftp://127.0.0.1"], "expected http://HOST"),
        (["--compare", "/nowhere/report.json"], "No such file"),
    ],
)
def test_run_that_cannot_begin_says_why_in_its_exit_code_too(flags, said_of_it):
    ended = CliRunner().invoke(main, [*flags, "-k", "test_likes"])
    assert ended.exit_code > 1
    assert said_of_it in ended.output


# -- a comparison ----------------------------------------------------------------------------------
def test_comparison_lists_where_two_targets_differ(kept: dict[str, Any]):
    other = copy.deepcopy(kept)
    other["properties"][0]["outcome"] = "failed"
    other["target"]["lacks"] = {"clock": "it has none"}
    found = comparison(other, kept)["differences"]
    assert [(one["part"], one["other"], one["this"]) for one in found] == [
        ("capability", "missing", "present"),
        ("property", "failed", "passed"),
    ]
    compared = {**kept, "compared": comparison(other, kept)}
    assert any("2 differences" in line for line in lines(compared))
    assert found[1]["name"] in render(compared)
    assert comparison(kept, kept)["differences"] == []


@pytest.mark.parametrize("content", ["", "[]", '{"form": 0}'])
def test_file_that_is_no_report_is_refused(content: str, tmp_path: Path):
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(NoReport, match="report"):
        read_report(str(tmp_path / "report.json"))


def test_terminal_obeys_nothing_that_a_server_says():
    assert plain("\x1b[2Jred\x07 é漢") == "\\x1b[2Jred\\x07 é漢"
