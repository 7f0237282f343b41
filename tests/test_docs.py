"""The README is true: its tables, its commands, its paths and its flags."""

import re
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from astria_emulator.config import Config
from astria_emulator.domain.assumptions import ASSUMPTIONS
from astria_emulator.faults.kinds import KINDS
from astria_emulator.faults.reading import scenarios
from astria_emulator.spec.openapi import Spec, default_path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- {}: written by tests/test_readme.py --write -->\n", "<!-- end -->"
# Tables: their columns, and their rows.
TABLES = {
    "assumptions": (
        ("name", "values", "what"),
        [(f"`{row.name}`", " / ".join(row.choices), row.says) for row in ASSUMPTIONS],
    ),
    "faults": (
        ("fault", "what", "settings"),
        [
            (f"`{name}`", kind.says, ", ".join(map(kind.shown, sorted(kind.takes))))
            for name, kind in KINDS.items()
        ],
    ),
    "scenarios": (
        ("scenario", "what"),
        [(f"`{one.name}`", one.says) for one in scenarios().values()],
    ),
}


def table(name: str) -> str:
    columns, rows = TABLES[name]
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


@pytest.mark.parametrize("name", TABLES)
def test_readme_has_every_row_of_a_table(name):
    assert README.read_text().partition(BEGIN.format(name))[2].partition(END)[0] == table(name)


def test_readme_names_every_flag():
    text = README.read_text()
    for setting in fields(Config):
        assert re.search(rf"--{setting.name.replace('_', '-')}\b", text), setting.name


def test_readme_counts_the_operations():
    count = len(Spec.read(default_path()).operations)
    assert f"{count} operations" in README.read_text()


def test_readme_names_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make ([\w-]+)", README.read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_readme_maps_every_module():
    named = set(re.findall(r"\b(\w+\.py)\b", README.read_text()))
    modules = {path.name for path in (ROOT / "emulator" / "astria_emulator").glob("*.py")}
    assert modules - named == {"__init__.py"}


if __name__ == "__main__" and "--write" in sys.argv:
    for name in TABLES:
        begin = BEGIN.format(name)
        before, _, rest = README.read_text().partition(begin)
        README.write_text(before + begin + table(name) + END + rest.partition(END)[2])
