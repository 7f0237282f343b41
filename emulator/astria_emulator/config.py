"""All settings. Each field is a flag of `serve` and an ASTRIA_EMULATOR_ variable."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property
from ipaddress import ip_address
from typing import Any

from astria_emulator.clock import read_time
from astria_emulator.domain.assumptions import read_assumptions
from astria_emulator.errors import SetupError

DEFAULT_PORT = 8417
LOCAL_KEY = "sd_local"  # an account wherever no keys are named
ASTRIA_HOSTS = ("api.astria.ai", "www.astria.ai")  # names that --tls serves as well
PREFIX = "ASTRIA_EMULATOR_"
KINDS = {int: "a whole number", float: "a number", bool: "true or false"}
FIRST_YEAR, LAST_YEAR = 1970, 9000  # a virtual clock begins between them, and has room to move


def _setting(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Config:
    """Settings of one server.

    Lists are tuples; on the command line and in variables they are comma-separated.
    """

    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(DEFAULT_PORT, "Port to listen on; 0 takes a free one.")
    public_url: str = _setting(
        "", "Base of the URLs handed out; by default the host that a request was sent to."
    )
    ready_file: str = _setting("", "File to write the server's URL to once it answers.")
    data: str = _setting(
        "", "Folder to keep everything in, as SQLite and files; by default it is kept in memory."
    )
    database: str = _setting(
        "", "postgresql://USER@HOST/NAME: keep objects and work there, and files in --data."
    )
    tls: bool = _setting(
        False, "Serve HTTPS, also as api.astria.ai; `astria-emulator ca` tells whom to trust."
    )
    tls_dir: str = _setting(
        "", "Folder of the certificate authority; by default one of the user's own."
    )
    seed: int = _setting(0, "Seed of pictures, file names and everything else that looks random.")
    seed_data: str = _setting(
        "", "File of objects to begin with: YAML or JSON, or an exported state; see the README."
    )
    clock: str = _setting(
        "",
        "Start of a virtual clock, such as 2026-01-01T00:00:00Z; it moves 1 s with each request.",
    )
    train_seconds: float = _setting(1.0, "How long the mock seems to train.")
    prompt_seconds: float = _setting(0.5, "How long the mock seems to make a prompt's pictures.")
    backend: str = _setting(
        "mock", "What serves every branch but fast: mock, real, or MODULE:CLASS."
    )
    backend_options: tuple[str, ...] = _setting((), "NAME=VALUE for the backend; see its page.")
    keys: tuple[str, ...] = _setting(
        (), "API keys that are accounts; by default every key that begins with sd_."
    )
    idempotency: bool = _setting(False, "Repeat-safe creation for every account.")
    assume: tuple[str, ...] = _setting((), "NAME=VALUE; see `astria-emulator assumptions`.")
    callback_hosts: tuple[str, ...] = _setting(
        (), "Public hosts that callbacks may reach; * for any."
    )
    fetch_hosts: tuple[str, ...] = _setting(
        (), "Public hosts that pictures may be fetched from; * for any."
    )
    faults: str = _setting("", "File of rules of faults; see /_emulator/faults.")
    scenario: tuple[str, ...] = _setting((), "Named faults, such as bad-day; see `scenarios`.")
    control_token: str = _setting(
        "", "Token of /_emulator/; made up when listening beyond loopback."
    )
    max_body_mb: int = _setting(200, "Largest request body, in MB.")
    max_file_mb: int = _setting(50, "Largest file that is sent or fetched, in MB.")
    max_megapixels: int = _setting(100, "Largest picture that is sent or fetched, in megapixels.")
    log_level: str = _setting("info", "debug, info, warning or error.")

    def __post_init__(self) -> None:
        if problems := self.problems():
            raise SetupError("settings", problems)

    def problems(self) -> list[str]:
        """All that is wrong with the values."""
        problems = []
        if not 0 <= self.port <= 65535:
            problems.append(f"port {self.port}: expected 0 to 65535")
        for name in ("train_seconds", "prompt_seconds"):
            if not 0 <= getattr(self, name) <= 86400:
                problems.append(
                    f"{name.replace('_', '-')} {getattr(self, name)}: expected 0 to 86400"
                )
        for name in ("max_body_mb", "max_file_mb", "max_megapixels"):
            if getattr(self, name) < 1:
                flag = name.replace("_", "-")
                problems.append(f"{flag} {getattr(self, name)}: expected at least 1")
        if self.log_level not in ("debug", "info", "warning", "error"):
            problems.append(f"log-level {self.log_level!r}: expected debug, info, warning or error")
        if self.public_url and not self.public_url.startswith(("http://", "https://")):
            problems.append(f"public-url {self.public_url!r}: expected http:// or https://")
        if self.clock:
            try:
                if not FIRST_YEAR <= read_time(self.clock).year <= LAST_YEAR:
                    raise ValueError(self.clock)
            except (ValueError, OverflowError):
                problems.append(
                    f"clock {self.clock!r}: expected a time such as 2026-01-01T00:00:00Z"
                )
        try:
            read_assumptions(self.assume)
        except SetupError as error:
            problems += error.problems
        if self.database and not self.database.startswith(("postgresql://", "postgres://")):
            problems.append("database: expected postgresql://USER@HOST/NAME")  # no password here
        if self.data and self.clock:
            problems.append("clock: a virtual clock ends with its process, and --data does not")
        if self.needs_keys and not self.keys:
            problems.append(
                "listening beyond loopback or with a real backend needs --keys: "
                "any sd_ key would be an account"
            )
        return problems

    @property
    def max_body(self) -> int:
        """Bytes of the largest request body."""
        return self.max_body_mb * 1_000_000

    @property
    def max_file(self) -> int:
        """Bytes of the largest file."""
        return self.max_file_mb * 1_000_000

    def variables(self, url: str) -> dict[str, str]:
        """Return the environment variables that point a client at the server, with a key."""
        return {"ASTRIA_BASE_URL": url, "ASTRIA_API_KEY": (*self.keys, LOCAL_KEY)[0]}

    @cached_property
    def on_loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def needs_keys(self) -> bool:
        return not self.on_loopback or self.backend != "mock"

    @property
    def clock_start(self) -> datetime | None:
        return read_time(self.clock) if self.clock else None

    @cached_property
    def assumed(self) -> Mapping[str, str]:
        return read_assumptions(self.assume)

    @classmethod
    def from_strings(cls, values: Mapping[str, str]) -> "Config":
        """Read settings that are text, by their field names; a variable's name is PREFIX + NAME.

        Raises SetupError with all that is wrong.
        """
        parsed: dict[str, Any] = {}
        unknown = values.keys() - {setting.name for setting in fields(cls)}
        problems = [f"{PREFIX}{name.upper()}: there is no such setting" for name in sorted(unknown)]
        for setting in fields(cls):
            if setting.name not in values:
                continue
            text = values[setting.name]
            try:
                parsed[setting.name] = _read(text, setting.default)
            except ValueError:
                kind = KINDS[type(setting.default)]
                problems.append(f"{setting.name.replace('_', '-')} {text!r}: expected {kind}")
        try:
            config = cls(**parsed)
        except SetupError as error:
            problems += error.problems
        if problems:
            raise SetupError("settings", problems)
        return config


def _read(text: str, default: Any) -> Any:
    if isinstance(default, bool):
        if text.lower() not in ("1", "0", "true", "false", "yes", "no", "on", "off", ""):
            raise ValueError(text)
        return text.lower() in ("1", "true", "yes", "on")
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return type(default)(text)
