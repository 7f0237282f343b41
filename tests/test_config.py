"""Settings: by field, by variable, and all that may be wrong with them at once."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from astria_emulator.__main__ import read_config
from astria_emulator.config import PREFIX, Config
from astria_emulator.errors import SetupError

# Every field: the text of its variable, and the value that it is read as.
READ: dict[str, tuple[str, Any]] = {
    "host": ("::1", "::1"),
    "backend_options": ("toy=true, threads=1", ("toy=true", "threads=1")),
    "port": ("0", 0),
    "public_url": ("https://emulator.example.com", "https://emulator.example.com"),
    "ready_file": ("/tmp/ready", "/tmp/ready"),
    "data": ("/tmp/astria", "/tmp/astria"),
    "database": ("postgresql://astria@db/astria", "postgresql://astria@db/astria"),
    "tls": ("true", True),
    "tls_dir": ("/tmp/tls", "/tmp/tls"),
    "seed": ("-7", -7),
    "seed_data": ("seed.yaml", "seed.yaml"),
    "clock": ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    "train_seconds": ("0", 0.0),
    "prompt_seconds": ("2.5", 2.5),
    "backend": ("mock", "mock"),
    "keys": ("sd_a, sd_b,", ("sd_a", "sd_b")),
    "idempotency": ("true", True),
    "assume": ("keys=any,fast-branch=sdxl1", ("keys=any", "fast-branch=sdxl1")),
    "callback_hosts": ("*", ("*",)),
    "fetch_hosts": ("a.test, b.test", ("a.test", "b.test")),
    "faults": ("faults.yaml", "faults.yaml"),
    "scenario": ("bad-day, refusals", ("bad-day", "refusals")),
    "control_token": ("secret", "secret"),
    "max_body_mb": ("10", 10),
    "max_file_mb": ("20", 20),
    "max_megapixels": ("30", 30),
    "log_level": ("debug", "debug"),
}
NAMES = [setting.name for setting in fields(Config)]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)


def problems(**settings: Any) -> tuple[str, ...]:
    with pytest.raises(SetupError) as refused:
        Config(**settings)
    return refused.value.problems


@pytest.mark.parametrize("name", NAMES)
def test_setting_is_read_from_its_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, value = READ[name]
    monkeypatch.setenv(PREFIX + name.upper(), text)
    found = getattr(read_config({}), name)
    assert (found, type(found)) == (value, type(value))
    assert {
        other for other in NAMES if getattr(read_config({}), other) != getattr(Config(), other)
    } <= {name}


def test_flag_wins_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "PORT", "1")
    monkeypatch.setenv(PREFIX + "KEYS", "sd_a")
    config = read_config({"port": "2", "keys": ("sd_b", "sd_c"), "seed": None, "assume": ()})
    assert (config.port, config.keys) == (2, ("sd_b", "sd_c"))


@pytest.mark.parametrize("setting", fields(Config), ids=lambda setting: setting.name)
def test_setting_has_a_default_and_tells_what_it_is(setting: Any) -> None:
    assert setting.metadata["help"].endswith(".")
    assert getattr(Config(), setting.name) == setting.default


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("TRUE", True), ("on", True), ("yes", True), ("0", False), ("False", False),
     ("off", False), ("no", False), ("", False)],
)  # fmt: skip
def test_switch_is_read_from_words(text: str, value: bool) -> None:
    assert Config.from_strings({"idempotency": text}).idempotency is value


def test_everything_that_cannot_be_read_is_listed_at_once() -> None:
    with pytest.raises(SetupError) as refused:
        Config.from_strings(
            {"port": "http", "seed": "", "train_seconds": "soon", "idempotency": "maybe"}
        )
    assert refused.value.problems == (
        "port 'http': expected a whole number",
        "seed '': expected a whole number",
        "train-seconds 'soon': expected a number",
        "idempotency 'maybe': expected true or false",
    )


def test_everything_that_cannot_be_is_listed_at_once() -> None:
    found = problems(
        port=65536,
        train_seconds=-1.0,
        prompt_seconds=float("nan"),
        log_level="loud",
        public_url="emulator.example.com",
        clock="soon",
        assume=("keys=some", "nonsense=1"),
        host="0.0.0.0",
    )
    beginnings = (
        "port 65536",
        "train-seconds -1.0",
        "prompt-seconds nan",
        "log-level 'loud'",
        "public-url 'emulator.example.com'",
        "clock 'soon'",
        "keys='some'",
        "'nonsense'",
        "listening beyond loopback",
    )
    assert len(found) == len(beginnings)
    assert all(problem.startswith(begin) for problem, begin in zip(found, beginnings, strict=True))


def test_what_cannot_be_read_and_what_cannot_be_are_listed_together() -> None:
    with pytest.raises(SetupError) as refused:
        Config.from_strings({"port": "http", "log_level": "loud"})
    assert len(refused.value.problems) == 2


@pytest.mark.parametrize(
    ("settings", "fits"),
    [
        ({"port": 0}, True),
        ({"port": 65535}, True),
        ({"port": -1}, False),
        ({"train_seconds": 0.0, "prompt_seconds": 86400.0}, True),
        ({"prompt_seconds": 86400.1}, False),
        ({"public_url": "http://localhost:1"}, True),
        ({"public_url": "ftp://localhost"}, False),
        ({"log_level": "DEBUG"}, False),
        ({"clock": "2026-01-01"}, True),
        ({"clock": "0001-01-01T00:00:00+02:00"}, False),
        ({"clock": "9500-01-01"}, False),
        ({"max_body_mb": 1}, True),
        ({"max_body_mb": 0}, False),
        ({"max_body_mb": -1}, False),
        ({"max_file_mb": 1}, True),
        ({"max_file_mb": 0}, False),
        ({"max_megapixels": 1}, True),
        ({"max_megapixels": 0}, False),
    ],
)
def test_setting_fits_within_its_bounds(settings: Any, fits: bool) -> None:
    if fits:
        Config(**settings)
    else:
        assert len(problems(**settings)) == 1


@pytest.mark.parametrize(
    ("host", "on_loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.1.2", False),
        ("emulator.local", False),
        ("localhost.example.com", False),
    ],
)
def test_keys_are_required_beyond_loopback(host: str, on_loopback: bool) -> None:
    assert Config(host=host, keys=("sd_a",)).on_loopback is on_loopback
    if on_loopback:
        Config(host=host)
    else:
        assert "--keys" in problems(host=host)[0]


def test_keys_are_required_with_a_real_backend() -> None:
    assert "--keys" in problems(backend="astria_real_backend.backend:RealBackend")[0]
    assert Config(backend="astria_real_backend.backend:RealBackend", keys=("sd_a",)).needs_keys


def test_clock_starts_at_its_time_or_is_the_systems() -> None:
    assert Config(clock="2026-01-01").clock_start == datetime(2026, 1, 1, tzinfo=UTC)
    assert Config().clock_start is None


def test_assumptions_are_settled() -> None:
    assert Config().assumed["keys"] == "sd"
    assert Config(assume=("keys=any",)).assumed["keys"] == "any"
