"""The commands that `astria-emulator` gains with this package."""

from pathlib import Path

import click

from astria_emulator import SetupError
from astria_real_backend.server_side.catalog import Catalogue


@click.command()
@click.option(
    "--models", "path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="TOML file of [[base]] tables that add and replace models.",
)  # fmt: skip
@click.option("--toy", is_flag=True, help="Let the bundled toy base be the default of sd15.")
@click.option(
    "--fetch", "ids", type=int, multiple=True, metavar="ID",
    help="Download a model from huggingface.co; may be given several times.",
)  # fmt: skip
def models(path: Path | None, toy: bool, ids: tuple[int, ...]) -> None:
    """List the base models that tunes start from, and fetch those that are missing."""
    catalogue = Catalogue.read(path, toy=toy)
    if unknown := [str(id) for id in ids if id not in catalogue.bases]:
        known = ", ".join(map(str, catalogue.bases))
        raise click.BadParameter(f"{', '.join(unknown)}: expected {known}", param_hint="--fetch")
    has_failed = False
    for id in dict.fromkeys(ids):
        try:
            click.echo(f"{id}: {catalogue.fetch(catalogue.bases[id])}", err=True)
        except SetupError as error:
            click.echo(str(error), err=True)
            has_failed = True
    click.echo(f"{'id':<9} {'family':<7} {'here':<4} {'source':<42} title")
    for base, absence in catalogue.rows():
        here = "no" if absence else "yes"
        click.echo(f"{base.tune_id:<9} {base.family:<7} {here:<4} {base.source:<42} {base.title}")
        for line in filter(None, (absence, base.note)):
            click.echo(f"          {line}")
    if has_failed:
        raise click.exceptions.Exit(1)
