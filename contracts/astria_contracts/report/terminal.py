"""The report as lines for a terminal."""

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

Report = Mapping[str, Any]
FIRST = 24  # columns of the names that lines begin with
REASON, LINE = 12, 400  # lines of a reason, and characters of a line
SHOWN = 3  # the last exchanges of a failure
VERDICTS = {
    "kept": "KEPT      every property that was tried holds",
    "broken": "BROKEN    the target does not keep the contract",
    "untested": "UNTESTED  the target could not be tested",
}
COLOURS: Mapping[str, dict[str, bool]] = {
    "KEPT": {"green": True, "bold": True},
    "BROKEN": {"red": True, "bold": True},
    "UNTESTED": {"yellow": True, "bold": True},
    "FAILED": {"red": True, "bold": True},
}


def show(terminal: Any, report: Report) -> None:
    """Write the report at the end of pytest's own."""
    if not report:
        return
    terminal.section("contract of Astria's API")
    for line in lines(report, shutil.get_terminal_size().columns):
        terminal.write_line(line, **COLOURS.get(line.partition(" ")[0], {}))


def lines(report: Report, width: int = 80) -> Iterator[str]:
    """The failures come last, and the verdict after them: that is what stays on the screen."""
    yield from _head(report)
    yield from _counts(report)
    yield from _coverage(report, width)
    yield from _skipped(report, width)
    if "compared" in report:
        yield from _compared(report, width)
    for failed in (one for one in report["properties"] if one["outcome"] == "failed"):
        yield from _failure(failed)
    yield from _verdict(report)


def _head(report: Report) -> Iterator[str]:
    target, run = report["target"], report["run"]
    name = plain(f"{target['name']} {target['version']}".strip())
    yield f"target    {plain(target['url']) or 'the emulator'}{f' ({name})' if name else ''}"
    seed = "fixed cases" if run["seed"] is None else f"seed {run['seed']}"
    yield f"contract  {report['contract']}"
    yield f"run       {run['budget']}, {seed}, {report['seconds']} s"


def _counts(report: Report) -> Iterator[str]:
    if not report["classes"]:
        return
    yield ""
    yield f"{'':<{FIRST}}" + "".join(f"{kind:>9}" for kind in report["totals"])
    for name, counts in (*report["classes"].items(), ("all", report["totals"])):
        yield f"{name:<{FIRST}}" + "".join(f"{count or '.':>9}" for count in counts.values())


def _coverage(report: Report, width: int) -> Iterator[str]:
    if report["coverage"]:
        yield ""
    for name, part in report["coverage"].items():
        can = part["total"] - len(part["exempt"])
        yield f"{name:<{FIRST}}{part['share']:>9.1%}   {part['seen']} of {can}"
        if part["missing"]:
            yield from _folded("  not seen: ", _some(part["missing"]), width)


def _skipped(report: Report, width: int) -> Iterator[str]:
    if report["skipped"]:
        yield ""
    for reason, count in report["skipped"].items():
        yield from _folded(f"skipped {count:>4}: ", plain(reason), width)


def _compared(report: Report, width: int) -> Iterator[str]:
    other = report["compared"]
    found = other["differences"]
    number = f"{len(found) or 'no'} difference{'' if len(found) == 1 else 's'}"
    yield ""
    yield f"compared with {plain(other['url'])} of {other['at']}: {number}"
    if not found:
        return
    rows = [(one["other"], one["this"], f"{one['part']}: {one['name']}") for one in found]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    first, second = max(first, len("other")), max(second, len("this"))
    yield f"  {'other':<{first}}  this"
    for one, two, name in rows:
        yield from _folded(f"  {one:<{first}}  {two:<{second}}  ", plain(name), width)


def _failure(failed: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"FAILED  {failed['class']}: {failed['property']} {failed['case']}".rstrip()
    yield from _indented(failed["reason"], most=REASON)
    if failed["case_shown"]:
        yield "        the smallest case:"
        yield from _indented(failed["case_shown"], 10)
    for exchange in failed["exchanges"][-SHOWN:]:
        yield f"        {plain(exchange['curl'])}"  # whole, to be copied
        yield f"        -> {exchange['status']} {plain(exchange['answer'][:200])}".rstrip()


def _verdict(report: Report) -> Iterator[str]:
    yield ""
    yield VERDICTS[report["verdict"]]
    yield from _indented(report["error"], len("UNTESTED  "))
    if left := report["target"]["left"]:
        yield f"          could not be deleted: {plain(_some(left))}"


def plain(text: str) -> str:
    """A text without characters that a terminal would obey: a server chooses what it answers."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _indented(text: str, columns: int = 8, *, most: int = 100) -> Iterator[str]:
    """The first lines of a text; an assertion may quote whole lists in one."""
    shown = text.splitlines()
    for line in shown[:most]:
        yield " " * columns + plain(line if len(line) <= LINE else f"{line[:LINE]}...")
    if len(shown) > most:
        yield f"{'':<{columns}}and {len(shown) - most} more lines"


def _folded(begin: str, text: str, width: int) -> list[str]:
    """A text with hanging lines; names and addresses stay whole."""
    room = max(width - len(begin), FIRST)
    folded = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return [f"{begin if not at else ' ' * len(begin)}{line}" for at, line in enumerate(folded)]


def _some(names: list[str], *, most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more
