"""The command line, `astria-emulator`. Logging is set up here."""

import logging
import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from emulator import trust
from emulator.assumptions import ASSUMPTIONS
from emulator.config import PREFIX, Config
from emulator.errors import SetupError, trace_of

GROUP = "astria_emulator.commands"  # of entry points
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
    """A line for each event; an exception is told without its text."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return trace_of(ei[1]) if ei[1] else ""


def set_up_logging(level: str) -> None:
    """Log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler])
    # What waitress says of its queue is of no use to a reader of this log.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    # At debug level Pillow tells what a photograph says of itself: who, when and where.
    logging.getLogger("PIL").setLevel(logging.INFO)


def read_config(flags: dict[str, Any]) -> Config:
    """Flags win over variables.

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


class Commands(click.Group):
    """Our commands, and those that other packages bring by an entry point."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(p.name for p in entry_points(group=GROUP))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if own := super().get_command(ctx, cmd_name):
            return own
        for point in entry_points(group=GROUP, name=cmd_name):
            found: click.Command = point.load()
            return found
        return None


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="astria-emulator", prog_name="astria-emulator")
def main() -> None:
    """A local emulator of Astria's fine-tuning API."""


@main.command()
@with_settings
def serve(**flags: Any) -> None:
    """Serve the API until SIGTERM or Ctrl-C."""
    config = read_config(flags)
    set_up_logging(config.log_level.upper())
    if not config.on_loopback and not config.control_token:
        config = replace(config, control_token=secrets.token_urlsafe(16))
        click.echo(f"Control token of /_emulator/: {config.control_token}", err=True)
    from emulator.app import create_app
    from emulator.garbage import spare_the_old
    from emulator.server import Server, stop_on_signals

    app = create_app(config)
    spare_the_old()
    try:
        tls = certificates().server_context(config) if config.tls else None
        limit = config.max_body
        server = Server(
            app, config.host, config.port, max_body=limit, is_quick=app.is_quick, tls=tls
        )
    except OSError as error:
        app.close()
        where = f"{config.host}:{config.port}"
        hint = LOW_PORT if isinstance(error, PermissionError) and config.port < 1024 else ""
        raise click.ClickException(f"cannot listen on {where}: {error.strerror}{hint}") from None
    except SetupError:
        app.close()
        raise
    stop_on_signals(server)
    scheme = "https" if config.tls else "http"
    url = config.public_url or local_url(config.host, server.port, scheme)
    if config.tls:
        click.echo(trust.brief(certificates().path_of(config)), err=True)
    key = config.keys[0][:3] + "..." if config.keys else "sd_local"
    if config.ready_file:
        try:
            write_ready_file(Path(config.ready_file), url)
        except OSError as error:
            app.close()
            reason = f"{config.ready_file}: {error.strerror}"
            raise click.ClickException(f"cannot write the ready file {reason}") from None
    click.echo(f"Astria emulator ready: export ASTRIA_BASE_URL={url} ASTRIA_API_KEY={key}")
    server.run()
    app.close()


def certificates() -> Any:
    """The module that makes them.

    Raises SetupError where what it needs is not installed.
    """
    try:
        from emulator import certificates
    except ImportError:
        needs = "needs a package: pip install 'astria-emulator[tls]'"
        raise SetupError("--tls", [needs]) from None
    return certificates


def local_url(host: str, port: int, scheme: str = "http") -> str:
    """How this machine reaches the server; every address is reached on loopback."""
    reachable = "127.0.0.1" if ip_is_any(host) else f"[{host}]" if ":" in host else host
    return f"{scheme}://{reachable}:{port}"


def ip_is_any(host: str) -> bool:
    return host in ("", "0.0.0.0", "::")  # noqa: S104 - it is read here, not bound


def write_ready_file(path: Path, url: str) -> None:
    """In one step, so that a reader never sees half of it."""
    draft = path.with_name(path.name + ".part")
    draft.write_text(url + "\n")
    draft.replace(path)


@main.command()
def routes() -> None:
    """List the operations of the contract."""
    from emulator.spec import Spec, default_path

    for operation in Spec.read(default_path()).operations:
        click.echo(f"{operation.method:6} {operation.path:32} {operation.id}")


@main.command()
def assumptions() -> None:
    """List what is assumed where Astria's documentation is silent."""
    for row in ASSUMPTIONS:
        switch = " | ".join(row.choices)
        click.echo(f"{click.style(row.name, bold=True)} = {switch}\n    {row.says}")
    click.echo(
        "\nThe first choice is the default; --assume NAME=VALUE switches one that has several."
    )


@main.command()
def scenarios() -> None:
    """List the named scenarios, and the faults that rules may name."""
    from emulator.faults.kinds import KINDS
    from emulator.faults.reading import scenarios

    click.echo("Scenarios (--scenario NAME):")
    for found in scenarios().values():
        click.echo(f"  {click.style(found.name, bold=True):20} {found.says}")
    click.echo("\nFaults (--faults FILE, or POST /_emulator/faults):")
    for name, kind in KINDS.items():
        click.echo(f"  {click.style(name, bold=True):20} {kind.says}")


@main.command()
@click.option("--path", is_flag=True, help="Print the path of its certificate only.")
@click.option("--tls-dir", default="", help="Folder of the authority, as for serve.")
@click.option("--public-url", default="", help="As for serve: a name to vouch for.")
def ca(path: bool, tls_dir: str, public_url: str) -> None:
    """Make the certificate authority of --tls if there is none, and tell how to trust it."""
    config = Config(tls_dir=tls_dir or read_config({}).tls_dir, public_url=public_url)
    certificates().authority(config)
    found = certificates().path_of(config)
    click.echo(found if path else trust.full(found))


def run_command(command: click.Command, name: str) -> None:
    """Run a command: a set-up that is wrong is told in full, and exits with 2."""
    try:
        command()
    except SetupError as error:
        click.echo(f"{name}: {error}", err=True)
        sys.exit(2)


def run() -> None:
    """Entry point."""
    run_command(main, "astria-emulator")


if __name__ == "__main__":
    run()
