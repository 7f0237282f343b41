"""The documents are true: their tables, commands, flags, paths, links, samples and the map."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from astria_emulator.config import Config
from astria_emulator.domain.assumptions import ASSUMPTIONS
from astria_emulator.faults.kinds import KINDS
from astria_emulator.faults.reading import scenarios
from astria_emulator.spec.openapi import Spec, default_path
from tests.test_imports import ORDER

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README, ARCHITECTURE = ROOT / "README.md", DOCS / "architecture.md"
PAGES = (README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md")))
PACKAGES = (
    ROOT / "emulator" / "astria_emulator",
    ROOT / "real_backend" / "astria_real_backend",
    ROOT / "contracts" / "astria_contracts",
)
LONGEST_README = 199  # lines
LONGEST_CELL = 160  # characters: two lines of a table
USERS_FILES = {"test_headshots.py"}  # named in the documents, written by their readers
PATH = re.compile(r"\.?[A-Za-z_][\w.-]*(?:/[\w.*-]+)*/?")
named = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


# -- generated parts -------------------------------------------------------------------------------
BEGIN, END = "<!-- {}: written by tests/test_docs.py --write -->\n", "<!-- end -->"


def table(*rows: tuple[str, ...]) -> str:
    """A table; its first row has the names of the columns."""
    first, *rest = rows
    return "".join(f"| {' | '.join(row)} |\n" for row in (first, ("---",) * len(first), *rest))


def switched() -> str:
    return "".join(
        f"- **`{row.name}`**: {' or '.join(f'`{choice}`' for choice in row.choices)}. {row.says}\n"
        for row in ASSUMPTIONS
        if len(row.choices) > 1
    )


def fixed() -> str:
    return "".join(
        f"- **`{row.name}`** ({row.choices[0]}): {row.says}\n"
        for row in ASSUMPTIONS
        if len(row.choices) == 1
    )


def faults() -> str:
    rows = (
        (f"`{name}`", kind.says, ", ".join(map(kind.shown, sorted(kind.takes))))
        for name, kind in KINDS.items()
    )
    return table(("fault", "what", "settings"), *rows)


def all_scenarios() -> str:
    rows = ((f"`{one.name}`", one.says) for one in scenarios().values())
    return table(("scenario", "what"), *rows)


# The page and the text of each generated part.
GENERATED = {
    "switched": (DOCS / "assumptions.md", switched),
    "fixed": (DOCS / "assumptions.md", fixed),
    "faults": (DOCS / "bad-days.md", faults),
    "scenarios": (DOCS / "bad-days.md", all_scenarios),
}


@pytest.mark.parametrize("name", GENERATED)
def test_generated_part_is_what_the_code_says(name):
    page, text = GENERATED[name]
    assert page.read_text().partition(BEGIN.format(name))[2].partition(END)[0] == text()


# -- what the code has is in the documents ---------------------------------------------------------
def test_every_flag_is_named():
    text = "".join(page.read_text() for page in PAGES)
    for setting in fields(Config):
        assert re.search(rf"--{setting.name.replace('_', '-')}\b", text), setting.name


def test_figures_of_the_readme_are_right():
    text = README.read_text()
    assert f"{len(Spec.read(default_path()).operations)} operations" in text
    assert f"{len(KINDS)} faults" in text
    assert f"{len(scenarios())} scenarios" in text


def test_readme_is_short_and_links_every_page():
    text = README.read_text()
    assert len(text.splitlines()) <= LONGEST_README
    for page in PAGES[1:]:
        assert f"]({page.relative_to(ROOT)})" in text, page.name


# -- what the documents have is in the code --------------------------------------------------------
def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def spans(page: Path) -> list[str]:
    """Code within the text, but for the texts of links: these say where they lead."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"\[[^]]*\]\(", "(", prose(page)))


def commands(page: Path) -> str:
    """What a reader may type, a line each."""
    return "\n".join([*blocks(page, "sh"), *blocks(page, "text"), *spans(page)])


def is_path(span: str) -> bool:
    """Whether a span of code names a file or folder of this project."""
    is_name = PATH.fullmatch(span) is not None
    return is_name and ("/" in span or span.endswith(".py")) and span not in USERS_FILES


def exists(path: str) -> bool:
    """Whether it is there: from the root, or from a package for what is within one."""
    return any(any(base.glob(path.rstrip("/"))) for base in (ROOT, *PACKAGES))


@named
def test_paths_are_there(page):
    assert [span for span in spans(page) if is_path(span) and not exists(span)] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@named
def test_links_lead_somewhere(page):
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@named
def test_targets_of_make_are_in_the_makefile(page):
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([\w-]+)", commands(page), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_commands_of_the_emulator_are_there():
    done = subprocess.run(
        [sys.executable, "-m", "astria_emulator", "--help"],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    there = re.findall(r"^  ([\w-]+)  ", done.stdout.partition("Commands:")[2], re.MULTILINE)
    assert "serve" in there
    for page in PAGES:
        for command in re.findall(r"\bastria-emulator ([a-z][\w-]*)", commands(page)):
            assert command in there, f"{page.name}: {command}"


def test_make_help_lists_every_target_with_its_text():
    makefile = (ROOT / "Makefile").read_text()
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    described = re.findall(r"^([a-z-]+):.*## (.+)$", makefile, re.MULTILINE)
    assert [tuple(line.split(maxsplit=1)) for line in done.stdout.splitlines()] == described
    phony = re.findall(r"^\.PHONY:(.+)$", makefile, re.MULTILINE)
    assert {name for name, _ in described} <= set(" ".join(phony).split())


# -- form ------------------------------------------------------------------------------------------
def cells(page: Path) -> Iterator[str]:
    for line in prose(page).splitlines():
        if line.lstrip().startswith("|"):
            yield from (cell.strip() for cell in line.strip().strip("|").split(" | "))


@named
def test_cells_of_tables_are_short(page):
    assert [cell for cell in cells(page) if len(cell) > LONGEST_CELL] == []


@named
def test_tables_have_equal_rows(page):
    for found in re.findall(r"(?:^ *\|.*\n)+", prose(page), re.MULTILINE):
        counts = {len(re.findall(r"(?<!\\)\|", row)) for row in found.splitlines()}
        assert len(counts) == 1, found


# -- samples ---------------------------------------------------------------------------------------
@named
def test_samples_are_well_formed(page):
    for code in blocks(page, "python"):
        compile(code, page.name, "exec")
    for code in blocks(page, "toml"):
        tomllib.loads(code)
    for code in blocks(page, "yaml"):
        yaml.safe_load(code)


def test_samples_of_tests_pass(tmp_path):
    first, second = blocks(README, "python")[0], blocks(DOCS / "testing.md", "python")[0]
    (tmp_path / "test_headshots.py").write_text(first)
    (tmp_path / "test_more.py").write_text(second)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


# -- architecture ----------------------------------------------------------------------------------
def rooms() -> dict[Path, dict[str, list[str]]]:
    """The map: for each package its folders, each with the modules that are named."""
    found: dict[Path, dict[str, list[str]]] = {}
    for block in blocks(ARCHITECTURE, "text"):
        head, *lines = block.splitlines()
        if ROOT / head not in PACKAGES:
            continue
        entries = re.sub(r"\n {3,}", " ", "\n".join(lines)).splitlines()
        folders = found.setdefault(ROOT / head, {})
        for entry in entries:
            folder, _, text = entry.strip().partition(" ")
            folders[folder.rstrip("/")] = text.rpartition(": ")[2].split()
    return found


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_map_has_every_room(package):
    folders = {str(path.parent.relative_to(package)) for path in package.rglob("__init__.py")}
    assert set(rooms()[package]) == folders


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_modules_of_the_map_are_there(package):
    missing = [
        f"{folder}/{name}"
        for folder, names in rooms()[package].items()
        for name in names
        if not any((package / folder / f"{name}{end}").exists() for end in ("", ".py"))
    ]
    assert missing == []


def test_import_order_is_the_tested_one():
    (order,) = [text for text in blocks(ARCHITECTURE, "text") if "->" in text]
    assert tuple(order.replace("->", " ").split()) == ORDER


if __name__ == "__main__" and "--write" in sys.argv:
    for name, (page, text) in GENERATED.items():
        begin = BEGIN.format(name)
        before, _, rest = page.read_text().partition(begin)
        page.write_text(before + begin + text() + END + rest.partition(END)[2])
