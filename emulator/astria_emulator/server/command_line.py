"""Shared by commands that start a server: flags, logging, its URL and messages."""

import logging
import os
import re
import secrets
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from astria_emulator.config import PREFIX, Config
from astria_emulator.errors import SetupError, trace_of
from astria_emulator.storage.own_folders import publish_file

READY = re.compile(r"(https?://\S+\s*)?")  # what a ready file may hold before it is written
OWNER_ONLY = 0o077  # a umask
READY_MODE = 0o644
LOW_PORT = "; ports below 1024 need root, or `sysctl net.ipv4.ip_unprivileged_port_start=443`"


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command one flag for every field of Config."""
    for setting in reversed(fields(Config)):
        flag = f"--{setting.name.replace('_', '-')}"
        switch: dict[str, Any] = (
            {"is_flag": True, "flag_value": "true"} if isinstance(setting.default, bool) else {}
        )
        many: dict[str, Any] = {"multiple": True} if isinstance(setting.default, tuple) else {}
        shown = f"{setting.metadata['help']} [{PREFIX}{setting.name.upper()}]"
        if setting.default not in ("", (), False):
            shown += f" Default: {setting.default}."
        command = click.option(
            flag, setting.name, type=str, default=None, help=shown, **switch, **many
        )(command)
    return command


class Lines(logging.Formatter):
    """One line for each event; an exception without its text."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return trace_of(ei[1]) if ei[1] else ""


def set_up_logging(level: str) -> None:
    """Log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler])
    # Waitress' warnings about its queue are of no use here.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    # At debug level Pillow logs a photograph's metadata: who, when and where.
    logging.getLogger("PIL").setLevel(logging.INFO)


def read_config(flags: dict[str, Any]) -> Config:
    """Read settings from flags and variables; flags win.

    Raises SetupError.
    """
    values = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in os.environ.items()
        if name.startswith(PREFIX)
    }
    values |= {
        name: ",".join(v) if isinstance(v, tuple) else v
        for name, v in flags.items()
        if v not in (None, ())
    }
    return Config.from_strings(values)


def with_token(config: Config) -> Config:
    """Return the settings with a control token; generate and print one where it is missing."""
    if config.on_loopback or config.control_token:
        return config
    config = replace(config, control_token=secrets.token_urlsafe(16))
    click.echo(f"Control token of /_emulator/: {config.control_token}", err=True)
    return config


def cannot_listen(config: Config, error: OSError) -> click.ClickException:
    """Return the error for an address that is not available."""
    hint = LOW_PORT if isinstance(error, PermissionError) and config.port < 1024 else ""
    return click.ClickException(
        f"cannot listen on {config.host}:{config.port}: {error.strerror}{hint}"
    )


def url_of(config: Config, port: int) -> str:
    """Return the URL that a server announces."""
    scheme = "https" if config.tls else "http"
    return config.public_url or local_url(config.host, port, scheme)


def certificates() -> Any:
    """Return the module that makes them.

    Raises SetupError where its package is not installed.
    """
    try:
        from astria_emulator.server import certificates
    except ImportError:
        needs = "needs a package: pip install 'astria-emulator[tls]'"
        raise SetupError("--tls", [needs]) from None
    return certificates


def local_url(host: str, port: int, scheme: str = "http") -> str:
    """Return the URL at which this machine reaches the server: loopback for 0.0.0.0 and ::."""
    reachable = "127.0.0.1" if ip_is_any(host) else f"[{host}]" if ":" in host else host
    return f"{scheme}://{reachable}:{port}"


def ip_is_any(host: str) -> bool:
    return host in ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound


def write_privately() -> int:
    """Let this process and its children write files that only their owner can read.

    Returns the umask before.
    """
    return os.umask(OWNER_ONLY)


def write_ready_file(path: Path, url: str) -> None:
    """Write it atomically, so that a reader, of any user, never sees half of it.

    Raises click.ClickException, also where there is another file, which would be lost.
    """
    try:
        if path.exists() and not READY.fullmatch(path.read_text(errors="replace")):
            raise click.ClickException(f"{path} is no ready file: it is left as it is")
        publish_file(path, url + "\n", mode=READY_MODE)
    except OSError as error:
        reason = f"{path}: {error.strerror}"
        raise click.ClickException(f"cannot write the ready file {reason}") from None
