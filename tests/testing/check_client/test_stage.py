"""Commands that are really played: what is collected, and what a play does to them."""

import os
import select
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import pytest

from astria_emulator.config import Config
from astria_emulator.faults.reading import scenarios
from astria_emulator.testing.check_client import callback_findings
from astria_emulator.testing.check_client.grading import judge
from astria_emulator.testing.check_client.stage import Stage
from tests import PATIENCE_SECONDS, wait_until

# What a tiny client may use: `call(method, path, body)` gives a status, 0 where there is no answer,
# and the JSON, None where there is none; `callback(times)` takes callbacks and answers 200.
CLIENT = """
import http.client, json, os, sys, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

TUNE = {"title": "Jane", "name": "woman", "branch": "fast", "image_urls": ["https://a.test/1"]}

def call(method, path, body=None):
    key = {"Authorization": "Bearer " + os.environ["ASTRIA_API_KEY"]}
    data, kind = json.dumps(body).encode() if body else None, {"Content-Type": "application/json"}
    url = os.environ["ASTRIA_BASE_URL"] + path
    try:
        asked = urllib.request.Request(url, data, key | kind, method=method)
        answer = urllib.request.urlopen(asked)
    except urllib.error.HTTPError as error:
        answer = error
    except OSError:
        return 0, None
    try:
        return answer.status, json.loads(answer.read())
    except (ValueError, http.client.HTTPException):
        return answer.status, None

class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)
        self.end_headers()
    def log_message(self, *args): pass

def hook(status=200):
    server = HTTPServer(("127.0.0.1", 0), Hook)
    server.status = status
    url = f"http://127.0.0.1:{server.server_port}/hook?secret=1"
    return server, url

def trained(id):
    while not (call("GET", f"/tunes/{id}")[1] or {}).get("trained_at"): pass

def noted():  # how the one callback has ended
    while [one["state"] for one in call("GET", "/_emulator/callbacks")[1]] in ([], ["recorded"]):
        pass
"""


def stage(script, *, timeout=PATIENCE_SECONDS, **settings):
    command = [sys.executable, "-c", CLIENT + script]
    known = {"port": 0, "train_seconds": 0.1, "prompt_seconds": 0.1, **settings}
    return Stage(command, Config(**known), timeout)


def played(script, scenario="good-day", **more):
    return stage(script, **more).play(scenarios()[scenario])


def names(play):
    """The findings; how fast a client polls depends on the machine, and does not count."""
    return [finding.name for finding in judge(play, None, least_poll_seconds=0).findings]


def test_play_is_collected():
    play = played(
        "status, made = call('POST', '/tunes', {'tune': TUNE})\n"
        "trained(made['id'])\n"
        "print('trained', made['id'])\n"
    )
    first, *reads = play.requests
    assert (play.exit, play.output, names(play)) == (0, "trained 5000001", [])
    assert (first.operation, first.made, first.body["tune"]["title"]) == (
        "create_tune",
        5000001,
        "Jane",
    )
    assert {read.operation for read in reads} == {"get_tune"}
    assert 0 < first.start <= first.end < reads[-1].end < play.seconds
    [tune] = play.things
    assert (tune.table, tune.id) == ("tune", 5000001)
    assert tune.created < tune.ended <= reads[-1].end


def test_request_that_was_not_done_is_collected_with_its_body():
    play = played("call('POST', '/tunes', {'tune': TUNE})", "server-errors")
    [request] = play.requests
    assert (request.status, request.made, request.is_undone) == (500, None, True)
    assert request.body["tune"]["title"] == "Jane"
    assert names(play) == ["lost-work"]


REPEATED = "for _ in range(2): call('POST', '/tunes', {'tune': TUNE})"
LOOKED = (
    "if call('POST', '/tunes', {'tune': TUNE})[0] != 201:\n"
    "    if not call('GET', '/tunes?title=Jane')[1]:\n"
    "        call('POST', '/tunes', {'tune': TUNE})"
)


@pytest.mark.parametrize(
    ("script", "settings", "found"),
    [
        (REPEATED, {}, ["doubled-a-tune"]),
        (REPEATED, {"idempotency": True}, []),
        (LOOKED, {}, []),
    ],
)
def test_tune_is_doubled_when_its_answer_was_lost(script, settings, found):
    assert names(played(script, "gateway-timeouts", **settings)) == found


def test_retry_after_is_read_from_the_scenario():
    play = played("call('POST', '/tunes', {'tune': TUNE}); " * 3, "rate-limited")

    def found(retry_after):
        settings = {"retry_after": retry_after}
        rules = tuple(replace(rule, settings=settings) for rule in play.scenario.rules)
        return names(replace(play, scenario=replace(play.scenario, rules=rules)))

    assert found(PATIENCE_SECONDS) == ["ignored-retry-after"]
    assert found(0) == []


def test_refusal_is_not_to_be_sent_again():
    once = "status, _ = call('POST', '/tunes', {'tune': TUNE})\n"
    assert names(played(f"{once}sys.exit(1)", "refusals")) == []
    found = names(played(f"{once}{once}sys.exit(1)", "refusals"))
    assert found == ["retried-a-422"]


CALLED = (
    "server, url = hook({})\n"
    "status, made = call('POST', '/tunes', {{'tune': TUNE | {{'callback': url}}}})\n"
    "server.handle_request()\n"
    "noted()"
)


@pytest.fixture
def sure_end(monkeypatch):
    """What has ended before the command counts, however shortly before."""
    monkeypatch.setattr(callback_findings, "ENDING_SECONDS", 0)


@pytest.mark.parametrize(("status", "found"), [(200, []), (500, ["callback-refused"])])
def test_answer_to_a_callback_is_collected(status, found, sure_end):
    play = played(CALLED.format(status))
    [callback] = play.callbacks
    assert (callback.object, callback.object_id, callback.status) == ("tune", 5000001, status)
    assert callback.url.endswith("/hook")
    assert names(play) == found


def test_callback_that_was_dropped_is_missed_or_read(sure_end):
    begin = (
        "status, made = call('POST', '/tunes', {'tune': TUNE | {'callback': 'http://127.0.0.1:9'}})"
    )
    missed = played(f"{begin}\nnoted()", "silent-callbacks")
    assert [callback.fault for callback in missed.callbacks] == ["callback-dropped"]
    assert names(missed) == ["lost-callback"]
    assert names(played(f"{begin}\ntrained(made['id'])", "silent-callbacks")) == []


def test_what_nobody_waited_for_is_completed_after_the_command():
    play = played("call('POST', '/tunes', {'tune': TUNE})", train_seconds=PATIENCE_SECONDS)
    [tune] = play.things
    assert tune.ended is not None
    assert tune.ended < PATIENCE_SECONDS


def test_command_that_does_not_end_is_ended_with_what_it_has_begun(tmp_path, monkeypatch):
    kept, limits = tmp_path / "pid", []
    script = (
        "import signal, subprocess\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "print('begun', flush=True)\n"
        f"open({str(kept)!r}, 'w').write(str(child.pid))\n"
        "signal.pause()\n"
    )
    wait = subprocess.Popen.wait

    def late(process, timeout=None):
        if timeout is None:
            return wait(process)
        limits.append(timeout)
        wait_until(lambda: kept.exists() and kept.read_text() != "")
        raise subprocess.TimeoutExpired(process.args, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", late)
    play = played(script, timeout=1.0)
    assert (play.exit, play.output, names(play)) == (None, "begun", ["waited-for-ever"])
    assert limits == [1.0]
    wait_for_end(int(kept.read_text()))


def wait_for_end(pid):
    with suppress(ProcessLookupError):  # it is gone already
        process = os.pidfd_open(pid)
        assert select.select([process], [], [], PATIENCE_SECONDS)[0], "it still runs"
        os.close(process)


def runs(pid):
    """Whether a process runs: one that has ended may be there still, for its parent to ask of."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return shown.stdout.strip() != "" and not shown.stdout.startswith("Z")


def test_output_is_its_end_and_shows_no_key():
    script = "print('\\n'.join(map(str, range(1000)))); print(os.environ['ASTRIA_API_KEY'])"
    play = played(script, keys=("sd_a_long_secret",))
    assert play.output.splitlines()[-2:] == ["999", "[key]"]
    assert len(play.output.splitlines()) == 60


def test_command_that_is_not_there_cannot_be_played():
    with pytest.raises(FileNotFoundError):
        Stage(["no-such-command"], Config(port=0), 1.0).play(scenarios()["good-day"])


def test_stage_that_is_closed_plays_no_more():
    closed = stage("print('here')")
    closed.close()
    assert closed.play(scenarios()["good-day"]).output == ""


def test_what_a_command_leaves_behind_is_ended_though_it_will_not_listen(tmp_path):
    kept = tmp_path / "pid"
    script = (
        "import signal, subprocess\n"
        "deaf = 'import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); "
        "signal.pause()'\n"
        "child = subprocess.Popen([sys.executable, '-c', deaf], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        f"open({str(kept)!r}, 'w').write(str(child.pid))\n"
    )
    assert played(script).exit == 0
    wait_for_end(int(kept.read_text()))
