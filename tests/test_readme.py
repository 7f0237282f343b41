"""The README is true: its table of assumptions, its commands, its paths and its flags."""

import re
import sys
from dataclasses import fields
from pathlib import Path

from emulator.assumptions import ASSUMPTIONS
from emulator.config import Config
from emulator.spec import Spec, default_path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- assumptions: written by tests/test_readme.py --write -->\n", "<!-- end -->"


def table() -> str:
    rows = [f"| `{row.name}` | {' / '.join(row.choices)} | {row.says} |\n" for row in ASSUMPTIONS]
    return "| name | values | what |\n| --- | --- | --- |\n" + "".join(rows)


def test_readme_lists_every_assumption():
    assert README.read_text().partition(BEGIN)[2].partition(END)[0] == table()


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
    modules = {path.name for path in (ROOT / "emulator").glob("*.py")}
    assert modules - named == {"__init__.py"}


if __name__ == "__main__" and "--write" in sys.argv:
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(before + BEGIN + table() + END + rest.partition(END)[2])
