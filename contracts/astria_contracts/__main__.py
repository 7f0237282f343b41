"""`astria-contracts`: run the suite against a server, and report."""

import sys
from importlib.util import find_spec
from pathlib import Path

import click

HERE = Path(__file__).parent
PROPERTIES = HERE / "properties"
PLUGINS = ("hypothesispytest", "schemathesis", "astria_contracts.plugin")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--target", help="URL of the server; without it the emulator is started.")
@click.option("--key", envvar="ASTRIA_API_KEY", help="API key of an account.")
@click.option(
    "--second-key",
    envvar="ASTRIA_SECOND_KEY",
    help="Key of another account, to see that they stay apart.",
)
@click.option("--branch", help="Branch of the tunes that are trained.  [default: fast]")
@click.option("--budget", type=click.Choice(["quick", "full"]), help="How many cases.")
@click.option("--seed", type=int, help="Seed of the cases; by default they are always the same.")
@click.option("--allow-paid", is_flag=True, help="Also do what costs money at a public server.")
@click.option("--listener-url", help="Where the target reaches this machine, for callbacks.")
@click.option("--picture-url", help="A picture that the target can fetch, where it does.")
@click.option(
    "--control-token",
    envvar="ASTRIA_EMULATOR_CONTROL_TOKEN",
    help="Opens /_emulator/ of an emulator that is not on loopback.",
)
@click.option("--has", multiple=True, help="A capability of the target, whatever it says.")
@click.option("--lacks", multiple=True, help="A capability that it does not have.")
@click.option("--patience", type=float, help="Seconds that a tune may take.  [default: 60]")
@click.option("--no-shrink", is_flag=True, help="Show the first case that fails, not the smallest.")
@click.option("--rate", type=float, help="Requests a second to a public server.  [default: 2]")
@click.option("--report", help="Folder for report.json, report.html and junit.xml.")
@click.option("--compare", help="An earlier report.json: list where the targets differ.")
@click.option("-k", "expression", help="Only properties whose names fit, as pytest's -k.")
def main(report: str | None, compare: str | None, expression: str | None, **given: object) -> None:
    """Test a server against the contract of Astria's API.

    Ends with 0 when it keeps the contract, 1 when it does not, and above when it could not be
    tested.
    """
    if not all(map(find_spec, ("pytest", "schemathesis"))):
        raise click.UsageError(
            "the suite needs more packages: pip install 'astria-emulator[contracts]'"
        )
    import pytest

    flags = ["-c", str(HERE / "pytest.ini"), "--rootdir", str(PROPERTIES)]
    flags += ["-q", "--tb=no", "-rN"]
    # Other plug-ins of the environment have no part in it.
    flags.append("--disable-plugin-autoload")
    flags += [part for name in PLUGINS for part in ("-p", name)]
    for name, value in given.items():
        flag = f"--astria-{name.replace('_', '-')}"
        if value is True:
            flags.append(flag)
        elif isinstance(value, tuple):
            flags += [f"{flag}={one}" for one in value]
        elif value is not None and value is not False:  # a seed may be 0
            flags.append(f"{flag}={value}")
    if report:
        flags += [f"--astria-report={report}", f"--junitxml={Path(report) / 'junit.xml'}"]
    if compare:
        flags.append(f"--astria-compare={Path(compare).resolve()}")
    if expression:
        flags += ["-k", expression]
    raise SystemExit(pytest.main([*flags, str(PROPERTIES)]))


def run() -> None:
    main(prog_name="astria-contracts")


if __name__ == "__main__":
    sys.exit(main())
