"""The command line, `astria-emulator`."""

import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from astria_emulator.config import LOCAL_KEY, Config
from astria_emulator.domain.assumptions import ASSUMPTIONS
from astria_emulator.errors import SetupError
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

GROUP = "astria_emulator.commands"  # of entry points


class Commands(click.Group):
    """Our commands, and those of other packages by entry points."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(p.name for p in entry_points(group=GROUP))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if command := super().get_command(ctx, cmd_name):
            return command
        for point in entry_points(group=GROUP, name=cmd_name):
            loaded: click.Command = point.load()
            return loaded
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
    write_privately()
    set_up_logging(config.log_level.upper())
    config = with_token(config)
    from astria_emulator.app import create_app
    from astria_emulator.server.http_server import Server
    from astria_emulator.server.stopping import StopLimit, stop_on_signals
    from astria_emulator.storage.gc_tuning import spare_the_old
    from astria_emulator.storage.own_folders import erase_abandoned, temporary_parent

    erase_abandoned(temporary_parent())
    app = create_app(config)
    spare_the_old()
    try:
        tls = certificates().server_context(config) if config.tls else None
        limit = config.max_body
        server = Server(
            app,
            config.host,
            config.port,
            max_body=limit,
            is_quick=app.is_quick,
            may_fetch=app.may_fetch,
            tls=tls,
        )
    except OSError as error:
        app.close()
        raise cannot_listen(config, error) from None
    except SetupError:
        app.close()
        raise
    stop_on_signals(server.stop, StopLimit())
    url = url_of(config, server.port)
    if config.tls:
        click.echo(trust.brief(certificates().path_of(config)), err=True)
    key = config.keys[0][:3] + "..." if config.keys else LOCAL_KEY
    if config.ready_file:
        try:
            write_ready_file(Path(config.ready_file), url)
        except click.ClickException:
            app.close()
            raise
    click.echo(f"Astria emulator ready: export ASTRIA_BASE_URL={url} ASTRIA_API_KEY={key}")
    server.run()
    app.close()


@main.command()
def routes() -> None:
    """List the operations of the contract."""
    from astria_emulator.spec.openapi import Spec, default_path

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
    from astria_emulator.faults.kinds import KINDS
    from astria_emulator.faults.reading import scenarios

    click.echo("Scenarios (--scenario NAME):")
    for scenario in scenarios().values():
        click.echo(f"  {click.style(scenario.name, bold=True):20} {scenario.says}")
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
    certificate = certificates().path_of(config)
    click.echo(certificate if path else trust.full(certificate))


def run_command(command: click.Command, name: str) -> None:
    """Run a command. For a SetupError print all problems and exit with 2."""
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
