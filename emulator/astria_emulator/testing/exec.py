"""The commands `exec`, which runs another command beside a new server, and `env`."""

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import click

from astria_emulator.config import PREFIX
from astria_emulator.server import trust
from astria_emulator.server.command_line import (
    cannot_listen,
    certificates,
    read_config,
    set_up_logging,
    url_of,
    with_settings,
    with_token,
    write_privately,
    write_ready_file,
)

FORWARDED = ("SIGTERM", "SIGHUP", "SIGINT")  # by name: Windows has no SIGHUP
NOT_RUNNABLE, NOT_FOUND = 126, 127  # as a shell has them
CONNECT_SECONDS = 1.0  # that `env` waits for a server


@click.command("exec", context_settings={"allow_interspersed_args": False})
@with_settings
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_command(command: tuple[str, ...], **flags: Any) -> None:
    """Run COMMAND beside a server of its own, and stop the server when it has ended.

    The command finds the server by ASTRIA_BASE_URL and ASTRIA_API_KEY in its environment. Its
    exit code is the one of this command: 128 + n where signal n ended it, 127 where there is no
    such command, 126 where it cannot be run. SIGTERM, SIGHUP and SIGINT are passed on to it.

    The options are those of `serve`, with other defaults for two: --port 0, which takes a free
    one, and --log-level warning, so that the command's own output stays readable.

    \b
    astria-emulator exec -- pytest
    astria-emulator exec --scenario bad-day --seed 7 -- npm test
    """
    for name, default in (("port", "0"), ("log_level", "warning")):
        if flags[name] is None and PREFIX + name.upper() not in os.environ:
            flags[name] = default
    config = read_config(flags)
    umask = write_privately()
    set_up_logging(config.log_level.upper())
    config = with_token(config)
    from astria_emulator.app import create_app
    from astria_emulator.server.background import serving

    with ExitStack() as opened:
        try:
            with blocked_signals():
                app = create_app(config)
                opened.callback(app.close)
                tls = certificates().server_context(config) if config.tls else None
                server = serving(app, host=config.host, port=config.port, tls=tls)
                url = url_of(config, opened.enter_context(server))
        except OSError as error:
            raise cannot_listen(config, error) from None
        if config.tls:
            click.echo(trust.brief(certificates().path_of(config)), err=True)
        if config.ready_file:
            write_ready_file(Path(config.ready_file), url)
        code = run(command, config.variables(url), umask=umask)
    sys.exit(code)


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Make threads that begin within it leave signals to the main thread, which may be waiting."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    numbers = [signal.Signals[name] for name in FORWARDED]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run(command: Sequence[str], variables: Mapping[str, str], *, umask: int) -> int:
    """Run a command with extra variables and pass signals on; return the exit code of a shell.

    To be called in the main thread.
    """
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []  # signals that came before the process began

    def forward(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and is_in_foreground():
            return  # Ctrl-C: the terminal sends it to the command as well
        if process is None:
            early.append(number)
        else:
            process.send_signal(number)

    numbers = [signal.Signals[name] for name in FORWARDED if hasattr(signal, name)]
    # Signals that are ignored here, as under nohup, are ignored by the command as well.
    forwarded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, forward) for number in forwarded}
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own
            command, env={**os.environ, **variables}, umask=umask
        )
        for number in early:
            process.send_signal(number)
        code = process.wait()
    except OSError as error:  # of Popen
        click.echo(f"astria-emulator: {start_failure(command[0], error)}", err=True)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUNNABLE
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code


def start_failure(name: str, error: OSError) -> str:
    """Return why a command could not be started."""
    if isinstance(error, FileNotFoundError):
        return f"{name}: there is no such command"
    return f"{name}: cannot be run: {error.strerror}"


def is_in_foreground() -> bool:
    """Return whether Ctrl-C at the terminal interrupts this process and its children."""
    try:
        with open("/dev/tty") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:  # there is no terminal
        return False


@click.command()
@click.option("--port", help=f"Port of the server. [{PREFIX}PORT] Default: 8417.")
@click.option(
    "--ready-file", help=f"File that the server has written its URL to. [{PREFIX}READY_FILE]"
)
@click.option("--keys", help=f"The server's API keys; the first one counts. [{PREFIX}KEYS]")
def env(**flags: Any) -> None:
    """Print what a shell needs to point programs at a server that runs.

    \b
    eval "$(astria-emulator env)"
    eval "$(astria-emulator env --ready-file /tmp/astria.url)"
    """
    config = read_config(flags)
    if config.ready_file and not flags["port"]:
        try:
            url = Path(config.ready_file).read_text().strip()
        except OSError as error:
            where = f"{config.ready_file}: {error.strerror}"
            raise click.ClickException(f"no server has written {where}") from None
    elif config.port:
        url = url_of(config, config.port)
    else:
        raise click.UsageError("port 0 is none to be found at; use --ready-file")
    if not is_listening(url):
        click.echo(f"nothing answers at {url} yet: `astria-emulator serve` begins it", err=True)
    for name, value in config.variables(url).items():
        click.echo(f"export {name}={shlex.quote(value)}")


def is_listening(url: str) -> bool:
    """Return whether something listens at a URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443}.get(parts.scheme, 80)
        socket.create_connection((parts.hostname or "", port), CONNECT_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True
