"""Write docs/licences.md: the licences of all packages that this project pins.

    python -m tools.licences

They are read from what is installed. Of a package that is not, the page keeps what it says.
"""

import re
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"
LOCKS = ROOT / "requirements"
BEGIN, END = "<!-- written by `make licences` -->\n", "<!-- end -->"
# What needs a package: the first of these files that pins it.
NEEDED = {
    LOCKS / "default.txt": "every install",
    LOCKS / "tested.txt": "extras other than `real`, tests",
    ROOT / "constraints.txt": "`real`",
}
ELSEWHERE = re.compile(r"sys_platform == '(?:emscripten|win32)'")  # what tests never run on

PERMISSIVE = {
    *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0"),
    *("CNRI-Python", "ISC", "LLVM-exception", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "ZPL-2.1"),
    "Zlib",
}
REASONS = {  # for which a package whose licence is not permissive is used, unchanged
    "certifi": "requests needs it; MPL covers its own files only",
    "hypothesis": "of the extra `contracts`; MPL covers its own files only",
    "pathspec": "tools that build and check need it; MPL covers its own files only",
    "psycopg": "of the extra `postgres`; LGPL lets any program import it",
    "psycopg-binary": "of the extra `postgres`, as psycopg",
    "tqdm": "of the extra `real`; MPL covers its own files only",
}
# By SPDX, what metadata says in other words.
SPDX = {
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD License": "BSD",
    "ISC License": "ISC",
    "MIT License": "MIT",
    "MIT license": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "ZPL 2.1": "ZPL-2.1",
}
UNSTATED = {"atheris": "Apache-2.0"}  # which says it in its repository only


def pinned() -> dict[str, str]:
    """Return what needs each pinned package, by its normalised name."""
    found: dict[str, str] = {}
    for path, what in NEEDED.items():
        for line in path.read_text().splitlines():
            name, pin, _ = line.partition("==")
            if pin and not name.startswith(("#", " ")):
                key = re.sub(r"[-_.]+", "-", name).lower()
                found.setdefault(key, "" if ELSEWHERE.search(line) else what)
    return {name: what for name, what in found.items() if what}


def licence_of(package: metadata.PackageMetadata) -> str:
    """Return the licence that a package states, by SPDX where that is known."""
    stated = package.get("License-Expression") or package.get("License", "")
    if not stated or "\n" in stated:  # a whole text
        classifiers = package.get_all("Classifier") or []
        names = [one.split(" :: ")[-1] for one in classifiers if one.startswith("License ::")]
        stated = " AND ".join(SPDX.get(name, name) for name in names)
    return SPDX.get(stated, stated)


def rows(page: str) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the licence and the need of each pinned package that is installed or known.

    page: the text that knows the licences of others.
    """
    known = dict(re.findall(r"^\| ([\w.-]+) \| ([^|]+) \|", page, re.MULTILINE))
    for name, what in sorted(pinned().items()):
        try:
            licence = UNSTATED.get(name) or licence_of(metadata.metadata(name))
        except metadata.PackageNotFoundError:
            licence = known.get(name, "")
        yield name, licence, what


def unexplained(found: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return those whose licence is unknown, or not permissive without a reason."""
    return [
        f"{name}: {licence or 'unknown'}"
        for name, licence, _ in found
        if not _is_permissive(licence) and (not licence or name not in REASONS)
    ]


def written(page: str) -> str:
    """Return the page with its table made anew."""
    lines = ["| package | licence | needed by |\n| --- | --- | --- |\n"]
    others = []
    for name, licence, what in rows(page):
        lines.append(f"| {name} | {licence} | {what} |\n")
        if not _is_permissive(licence):
            others.append(f"- **{name}** ({licence}): {REASONS.get(name, '')}.\n")
    before, begin, rest = page.partition(BEGIN)
    return "".join([before, begin, *others, "\n", *lines, *rest.partition(END)[1:]])


def _is_permissive(licence: str) -> bool:
    """Whether every licence of an expression is; one of several to choose from is no exception."""
    words = set(re.findall(r"[\w.-]+", licence)) - {"AND", "OR", "WITH"}
    return bool(words) and words <= PERMISSIVE


if __name__ == "__main__":
    text = written(PAGE.read_text())
    if problems := unexplained(rows(text)):
        raise SystemExit(
            "these licences need a reason in tools/licences.py:\n" + "\n".join(problems)
        )
    PAGE.write_text(text)
