"""What is installed: pinned, held to hashes, of bounded age, and under licences that are known."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import licences

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
UNHASHED = {"mpmath", "sympy", "torch"}  # torch and what only it needs


def requirements(path: Path) -> Iterator[tuple[Requirement, list[str]]]:
    """What a lock file pins, and the hashes of its files."""
    for lines in path.read_text().replace("\\\n", "").splitlines():
        text, *hashes = lines.split(" --hash=sha256:")
        yield Requirement(text), [found.strip() for found in hashes]


def pins(*paths: Path) -> dict[str, str]:
    """The versions by name."""
    return {
        canonicalize_name(one.name): str(one.specifier)
        for path in paths
        for one, _ in requirements(path)
    }


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = map(Requirement, (line for line in lines if not line.startswith("#")))
    return {canonicalize_name(one.name): str(one.specifier) for one in found}


def direct() -> list[Requirement]:
    """What pyproject.toml asks for: itself, its extras and its groups."""
    project = PYPROJECT["project"]
    extras, groups = project["optional-dependencies"].values(), PYPROJECT["dependency-groups"]
    lists = [project["dependencies"], *extras, *groups.values()]
    return [Requirement(text) for texts in lists for text in texts if isinstance(text, str)]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_pinned_package_has_hashes(lock):
    found = list(requirements(lock))
    assert found
    for one, hashes in found:
        assert re.fullmatch(r"==[\w.]+", str(one.specifier)), one
        assert hashes, one
        assert all(re.fullmatch("[0-9a-f]{64}", text) for text in hashes), one


def test_hashes_are_of_the_versions_that_were_tested():
    tested = constraints()
    own = pins(*(path for path in LOCKS if path.stem != "supply-chain"))
    assert own == {name: pin for name, pin in tested.items() if name not in UNHASHED}
    tools = pins(ROOT / "requirements" / "supply-chain.txt")
    assert {name: pin for name, pin in tools.items() if tested.get(name, pin) != pin} == {}


@pytest.mark.parametrize("one", direct(), ids=str)
def test_what_is_asked_for_is_pinned_within_its_bounds(one):
    name = canonicalize_name(one.name)
    assert any(bound.operator == ">=" for bound in one.specifier), "it has no lower bound"
    pin = {**pins(*LOCKS), **constraints()}[name]
    assert one.specifier.contains(pin.removeprefix("=="))


def test_no_address_of_an_index_is_written_down():
    for path in (*LOCKS, ROOT / "requirements" / "torch.in", ROOT / "constraints.txt"):
        assert not re.search(r"://|-index|find-links", path.read_text()), path.name


def test_make_installs_nothing_without_a_hash_but_the_project_and_torch():
    makefile = (ROOT / "Makefile").read_text()
    installs = re.findall(r"pip install .*", makefile)
    assert len(installs) == 3
    for command in installs:
        allowed = "--require-hashes", "--no-deps --no-build-isolation --editable .", "torch.in"
        assert any(flags in command for flags in allowed), command
    assert (ROOT / "requirements" / "torch.in").read_text().split() == ["torch"]


# -- licences --------------------------------------------------------------------------------------
def test_page_of_licences_is_what_packages_state():
    assert licences.written(licences.PAGE.read_text()) == licences.PAGE.read_text()


def test_every_licence_is_permissive_or_has_a_reason():
    assert licences.unexplained(licences.rows(licences.PAGE.read_text())) == []


@pytest.mark.parametrize("licence", ["", "GPL-3.0-only", "MIT AND GPL-3.0-only", "Ours"])
def test_other_licences_are_told(licence):
    assert licences.unexplained([("new", licence, "")]) == [f"new: {licence or 'unknown'}"]


def test_reasons_are_for_packages_that_need_one():
    stated = {name: licence for name, licence, _ in licences.rows(licences.PAGE.read_text())}
    assert licences.unexplained((name, stated[name], "") for name in licences.REASONS) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(licences, "REASONS", {})
        told = licences.unexplained((name, stated[name], "") for name in stated)
    assert len(told) == len(licences.REASONS)
