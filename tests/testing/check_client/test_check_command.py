"""`astria-emulator check-client` as it is typed, and the two examples."""

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from astria_emulator.__main__ import main
from astria_emulator.config import Config
from astria_emulator.faults.reading import scenarios
from astria_emulator.testing.check_client.command import choose_scenarios, config_of
from astria_emulator.testing.check_client.grading import judge
from astria_emulator.testing.check_client.play import Play
from astria_emulator.testing.check_client.report import Check, abridged, write
from astria_emulator.testing.check_client.terminal import closing, line
from tests import PATIENCE_SECONDS
from tests.testing.check_client.histories import ID, OTHER, call, get, play, post, tune
from tests.testing.check_client.test_stage import runs

READ = (
    "import os, urllib.request as http; "
    "key = {'Authorization': 'Bearer ' + os.environ['ASTRIA_API_KEY']}; "
    "url = os.environ['ASTRIA_BASE_URL'] + '/tunes'; "
    "http.urlopen(http.Request(url, headers=key)).read(); "
)


def check(*arguments):
    limited = ["check-client", "--timeout", str(PATIENCE_SECONDS)]
    return CliRunner().invoke(main, [*limited, *map(str, arguments)])


def python(script):
    return ["--", sys.executable, "-c", script]


# -- how it ends -----------------------------------------------------------------------------------
def test_client_without_findings_ends_with_0():
    ended = check("--scenario", "slow-training", *python(READ))
    assert ended.exit_code == 0, ended.output
    assert [row.split()[:2] for row in ended.output.splitlines()[1:3]] == [
        ["good-day", "passed"],
        ["slow-training", "passed"],
    ]
    assert "GRADE A  none of 2 scenarios with findings." in ended.output


def test_client_with_findings_ends_with_1_and_they_are_told():
    ended = check("--scenario", "server-errors", *python(READ))
    assert ended.exit_code == 1
    assert "gave-up: server-errors\n" in ended.output
    assert "GRADE D  1 of 2 scenarios with findings." in ended.output


def test_scenario_that_strikes_nothing_does_not_count():
    ended = check("--scenario", "refusals", *python(READ))
    assert ended.exit_code == 0
    assert "unmet" in ended.output
    assert "none of 1 scenarios with findings; 1 struck nothing, and do not count." in ended.output


def test_what_fails_on_the_good_day_is_not_graded_and_its_output_is_shown(tmp_path):
    failing = python(f"{READ}print('no such luck'); raise SystemExit(3)")
    ended = check("--scenario", "bad-day", "--report", tmp_path, *failing)
    assert ended.exit_code == 2
    assert "  | no such luck\n" in ended.output
    assert "NOT GRADED  the command failed with 3 on the good day\n" in ended.output
    assert "bad-day" not in ended.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["grade"], report["error"]) == (None, "the command failed with 3 on the good day")
    assert "Not graded" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (python("pass"), "the command sent no request to ASTRIA_BASE_URL"),
        (python("input()\nwhile True: pass"), "failed with 1"),
        (["--timeout", 0.2, *python("while True: pass")], "did not end within "),
        (["--", "no-such-command"], "no-such-command cannot be run: No such file or directory"),
    ],
)
def test_what_cannot_be_graded_ends_with_2(command, why):
    ended = check("--scenario", "bad-day", *command)
    assert ended.exit_code == 2
    assert why in ended.output


def test_unknown_scenario_is_refused_with_those_that_are_known():
    ended = check("--scenario", "worst-day", *python("pass"))
    assert ended.exit_code != 0
    assert "worst-day" in str(ended.exception)
    assert "impatient-callbacks" in str(ended.exception)


@pytest.mark.parametrize(
    ("number", "scenario"), [(signal.SIGTERM, "good-day"), (signal.SIGINT, "slow-training")]
)
def test_interrupted_check_ends_the_command_that_it_plays(number, scenario, tmp_path):
    seen = tmp_path / "seen"
    hang = (
        f"import pathlib, signal; seen = pathlib.Path({str(seen)!r}); "
        "seen.write_text((seen.read_text() if seen.exists() else '') + f'{os.getpid()}\\n'); "
        f"{scenario!r} == 'slow-training' and seen.read_text().count('\\n') == 1 or signal.pause()"
    )
    command = [
        "-m",
        "astria_emulator",
        "check-client",
        "--scenario",
        "slow-training",
        "--timeout",
        str(PATIENCE_SECONDS),
        *python(READ + hang),
    ]
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.DEVNULL,
        # These tests may have been told to ignore it, as in the background of a shell.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    plays = 1 if scenario == "good-day" else 2
    try:
        while len(pids := seen.read_text().split() if seen.exists() else []) < plays:
            assert process.poll() is None
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 130
        assert not runs(int(pids[-1]))
    finally:
        process.kill()
        process.wait()


# -- what is played --------------------------------------------------------------------------------
def test_good_day_is_first_and_the_others_are_in_their_order():
    assert [one.name for one in choose_scenarios(["refusals", "bad-day"])] == [
        "good-day", "bad-day", "refusals"
    ]  # fmt: skip
    assert [one.name for one in choose_scenarios([])] == list(scenarios())


def test_settings_of_a_server_that_is_kept_do_not_count(monkeypatch):
    monkeypatch.setenv("ASTRIA_EMULATOR_DATA", "/tmp/astria")
    config = config_of({"keys": "sd_a, sd_b", "seed": 7, "assume": ("keys=any",)})
    known = {"keys": ("sd_a", "sd_b"), "seed": 7, "assume": ("keys=any",)}
    assert config == Config(**known, port=0, log_level="error")


# -- the report ------------------------------------------------------------------------------------
ABOUT = {"seed": 0, "train_seconds": 0.3, "prompt_seconds": 0.2, "timeout": 60.0}


def made_up(*plays: Play) -> Check:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    settings = {**ABOUT, "least_poll_seconds": 0.2}
    return Check(["./client"], at, 3.0, settings, [judge(one, None) for one in plays])


SPOILT = play(
    post(0, 504, "gateway-timeout", made=ID),
    post(1, made=OTHER),
    call(2, 500),
    *[get(3 + at / 100) for at in range(20)],
    tune(None),
    output="<script>alert(1)</script>\x1b[31m",
)


def test_report_is_written_as_data_and_as_a_page(tmp_path):
    write(made_up(play(scenario="good-day"), SPOILT), tmp_path / "new")
    report = json.loads((tmp_path / "new" / "report.json").read_text())
    assert (report["grade"], report["counts"]) == ("D", {"passed": 1, "failed": 1, "unmet": 0})
    bad = report["scenarios"][1]
    found = {finding["name"]: finding for finding in bad["findings"]}
    assert set(found) == {"doubled-a-tune", "callback-refused", "polled-past-the-limit"}
    assert [one["made"] for one in found["doubled-a-tune"]["requests"]] == [ID, OTHER]
    assert found["callback-refused"]["callbacks"][0]["outcome"] == "500"
    page = (tmp_path / "new" / "report.html").read_text()
    assert "Grade D" in page
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "And 10 more, in report.json." in page
    for name in found:
        assert report["advice"][name].partition("'")[0] in page


def test_secret_of_a_callback_is_not_shown(tmp_path):
    write(made_up(SPOILT), tmp_path)
    for name in ("report.json", "report.html"):
        assert "secret" not in (tmp_path / name).read_text()
    assert abridged({"callback": "http://a.test/hook?secret=1"}) == (
        '{"callback": "http://a.test/hook"}'
    )


def test_terminal_tells_each_kind_of_finding_once_with_what_shows_it():
    told = list(closing(made_up(SPOILT, SPOILT), width=80))
    assert [row for row in told if row.startswith("doubled-a-tune")] == ["doubled-a-tune: bad-day"]
    assert any(
        row.startswith("      0.000 s  POST /tunes -> 504 [gateway-timeout]") for row in told
    )
    assert "      2.000 s  callback of tune 5000001 -> 500" in told
    assert "    and 16 more" in told
    assert all(len(row) <= 80 and row.isprintable() for row in told)


def test_line_of_the_table():
    assert line(judge(play(exit=1, seconds=1.25), None)) == (
        "bad-day               failed        1.2  gave-up"
    )


# -- the examples ----------------------------------------------------------------------------------
def examined(folder, example, *scenarios):
    """How a check of an example ended, its report, and the names of the findings by scenario."""
    picked = [part for name in scenarios for part in ("--scenario", name)]
    command = ["--", sys.executable, "-m", f"astria_emulator.examples.{example}"]
    ended = check("--jobs", 2, "--report", folder, *picked, *command)
    report = json.loads((folder / "report.json").read_text())
    found = {
        one["name"]: {finding["name"] for finding in one["findings"]} for one in report["scenarios"]
    }
    return ended, report, found


def test_careful_client_copes(tmp_path):
    chosen = ("gateway-timeouts", "refusals", "failed-prompts", "silent-callbacks")
    ended, report, found = examined(tmp_path, "careful", *chosen)
    assert (ended.exit_code, report["grade"]) == (0, "A"), ended.output
    assert found == {name: set() for name in ("good-day", *chosen)}


def test_careless_client_does_not(tmp_path):
    chosen = ("bad-day", "gateway-timeouts", "refusals", "failed-prompts")
    ended, report, found = examined(tmp_path, "careless", *chosen)
    assert (ended.exit_code, report["grade"]) == (1, "F"), ended.output
    assert found["bad-day"] >= {"doubled-a-tune", "lost-callback", "doubled-callback-effect"}
    assert found["gateway-timeouts"] >= {"doubled-a-tune", "lost-work"}
    assert "retried-a-422" in found["refusals"]
    assert found["failed-prompts"] >= {"never-noticed", "callback-refused"}
