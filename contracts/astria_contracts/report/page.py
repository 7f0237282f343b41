"""The report as one HTML page that needs nothing else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined


def render(report: Mapping[str, Any]) -> str:
    """Every text is escaped: a server may answer with HTML."""
    template = Path(__file__).with_name("page.html.jinja").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(template).render(report=report, by_reason=by_reason)


def by_reason(exempt: Mapping[str, str]) -> dict[str, list[str]]:
    """The names that each reason is given for."""
    found: dict[str, list[str]] = {}
    for name, reason in exempt.items():
        found.setdefault(reason, []).append(name)
    return found
