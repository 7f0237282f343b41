"""The command line as a process: start, settings, stop, and the order of answers and callbacks."""

import re
import socket
from dataclasses import fields
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from astria_emulator.__main__ import main, read_config
from astria_emulator.config import PREFIX, Config
from tests import PATIENCE_SECONDS
from tests.server.processes import KEY

START = "2026-01-01T00:00:00Z"
# A value for every setting, as text, and what it is read as.
VALUES: dict[str, tuple[str, Any]] = {
    "host": ("localhost", "localhost"),
    "port": ("9000", 9000),
    "public_url": ("https://astria.test", "https://astria.test"),
    "ready_file": ("ready", "ready"),
    "data": ("folder", "folder"),
    "database": ("postgresql://astria@db/astria", "postgresql://astria@db/astria"),
    "tls": ("true", True),
    "tls_dir": ("tls", "tls"),
    "seed": ("7", 7),
    "seed_data": ("seed.yaml", "seed.yaml"),
    "clock": (START, START),
    "train_seconds": ("2.5", 2.5),
    "prompt_seconds": ("0", 0.0),
    "backend": ("mock", "mock"),
    "backend_options": ("toy=true, threads=1", ("toy=true", "threads=1")),
    "keys": ("sd_a, sd_b", ("sd_a", "sd_b")),
    "idempotency": ("true", True),
    "assume": ("keys=any,cfg-scale=number", ("keys=any", "cfg-scale=number")),
    "callback_hosts": ("a.test,b.test", ("a.test", "b.test")),
    "fetch_hosts": ("c.test,*", ("c.test", "*")),
    "faults": ("faults.yaml", "faults.yaml"),
    "scenario": ("bad-day, refusals", ("bad-day", "refusals")),
    "control_token": ("secret", "secret"),
    "max_body_mb": ("1", 1),
    "max_file_mb": ("2", 2),
    "max_megapixels": ("3", 3),
    "log_level": ("error", "error"),
}


# -- ready -----------------------------------------------------------------------------------------
def test_serve_says_where_it_is_in_one_line(start):
    process = start()
    assert re.fullmatch(
        r"Astria emulator ready: "
        r"export ASTRIA_BASE_URL=http://127\.0\.0\.1:\d+ ASTRIA_API_KEY=sd_local\n",
        process.said,
    )
    assert process.get("/tunes", key="sd_local").json() == []
    process.end()
    assert process.popen.stdout.read() == ""


def test_serve_writes_the_ready_file_once_it_answers(start, tmp_path):
    ready = tmp_path / "ready"
    process = start("--ready-file", ready)
    assert ready.read_text() == process.url + "\n"
    assert requests.get(f"{process.url}/_emulator/health", timeout=PATIENCE_SECONDS).json() == {
        "status": "ok"
    }
    assert not ready.with_name("ready.part").exists()


# -- settings --------------------------------------------------------------------------------------
def test_every_setting_has_a_value_here():
    assert [setting.name for setting in fields(Config)] == list(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_setting_is_read_from_its_flag(name):
    text, value = VALUES[name]
    flag = f"--{name.replace('_', '-')}"
    given = [flag] if isinstance(value, bool) else [flag, text]
    context = main.commands["serve"].make_context("serve", given)  # type: ignore[attr-defined]
    assert getattr(read_config(context.params), name) == value


@pytest.mark.parametrize("name", VALUES)
def test_setting_is_read_from_its_variable(name, monkeypatch):
    text, value = VALUES[name]
    monkeypatch.setenv(PREFIX + name.upper(), text)
    assert getattr(read_config({}), name) == value


def test_flag_wins_over_the_variable(monkeypatch):
    monkeypatch.setenv(PREFIX + "SEED", "1")
    assert read_config({"seed": "2"}).seed == 2


def test_help_shows_every_setting_with_its_variable():
    shown = CliRunner().invoke(main, ["serve", "--help"]).output
    for setting in fields(Config):
        assert f"--{setting.name.replace('_', '-')} " in shown
        assert f"[{PREFIX}{setting.name.upper()}]" in shown


def test_serve_takes_its_settings_from_variables(start, tmp_path):
    settings = {
        "ready_file": str(tmp_path / "ready"),
        "clock": START,
        "keys": "sd_one",
        "seed": "7",
    }
    process = start(port="0", **settings)
    assert process.get("/_emulator/clock").json() == {"now": f"{START[:-1]}.000Z", "virtual": True}
    assert process.get("/_emulator/info").json()["capabilities"]["seed"] == 7
    assert process.get("/tunes", key="sd_one").status_code == 200
    assert process.get("/tunes", key="sd_two").status_code == 401
    assert (tmp_path / "ready").read_text().strip() == process.url


def test_serve_hands_out_the_public_url(start, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = start("--public-url", "https://astria.test", port=str(port))
    assert process.url == "https://astria.test"
    here = f"http://127.0.0.1:{port}"
    tune = {"title": "Jane", "name": "woman", "image_urls": ["https://example.com/1.jpg"]}
    made = requests.post(
        f"{here}/tunes", json={"tune": tune}, headers=KEY, timeout=PATIENCE_SECONDS
    ).json()
    assert made["url"] == f"https://astria.test/tunes/{made['id']}.json"
    assert made["orig_images"][0].startswith("https://astria.test/")


def test_ready_text_never_shows_a_key(start):
    process = start("--keys", "sd_secret,sd_other")
    assert "ASTRIA_API_KEY=sd_...\n" in process.said
