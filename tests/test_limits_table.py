"""The table of limits in docs/staging.md has the numbers that hold."""

from pathlib import Path

import pytest

from astria_emulator.api.handlers import workspaces
from astria_emulator.control import archive
from astria_emulator.domain import prompt_text
from astria_emulator.faults import rules
from astria_emulator.objects import access, packs
from astria_emulator.request import bodies, calls, journal
from astria_emulator.spec import coercion
from astria_emulator.storage import snapshots
from tests.spec.compiled import SPEC

LINES = Path(__file__).parents[1].joinpath("docs/staging.md").read_text().splitlines()
ROWS = {
    what: limit
    for line in LINES
    if line.count("|") == 5
    for _, what, limit, *_ in [line.split("|")]
}
MILLION = 1_000_000


def schema(path: str, keyword: str) -> int:
    node = SPEC.resolve({"$ref": f"#/components/schemas/{path}"})
    return int(node[keyword])


NESTED = SPEC.schema("CreateTune")["allOf"][1]["properties"]
LIMITS: dict[str, list[int]] = {
    "values of JSON": [calls.MOST_VALUES, calls.MOST_VALUES, coercion.MOST_IN_TEXT],
    "names of fields": [bodies.LONGEST_NAME, bodies.LONGEST_BOUNDARY],
    "headers of a form's parts": [bodies.LONGEST_HEADERS >> 20, bodies.MOST_ESCAPES // MILLION],
    "a text; a title": [
        schema("PromptFields/properties/text", "maxLength"),
        schema("Text", "maxLength"),
        schema("ImageUrl", "maxLength"),
        schema("TuneFields/properties/token", "maxLength"),
    ],
    "a text once": [prompt_text.LONGEST_FILLED, prompt_text.MOST_TUNES],
    "characteristics": [
        schema("Characteristics", "maxProperties"),
        schema("Characteristics/propertyNames", "maxLength"),
        schema("Characteristics/additionalProperties", "maxLength"),
    ],
    "pictures of a tune": [
        schema("TuneFields/properties/image_urls", "maxItems"),
        NESTED["prompts_attributes"]["maxItems"],
        schema("PromptFields/properties/image_reference_urls", "maxItems"),
    ],
    "`tune_ids`": [
        schema("PackRunFields/properties/tune_ids", "maxItems"),
        schema("PackRunFields/properties/prompt_ids", "maxItems"),
    ],
    "templates of a pack": [access.MOST_TEMPLATES, packs.MOST_PROMPTS],
    "workspaces": [workspaces.MOST_WORKSPACES],
    "the journal: requests": [
        journal.SIZE,
        journal.TOTAL_BYTES >> 20,
        journal.KEPT_BYTES >> 10,
        journal.KEPT_VALUES,
    ],
    "the journal: a path": [journal.KEPT_CHARACTERS],
    "rules of faults": [rules.MOST_RULES],
    "snapshots": [snapshots.MOST, snapshots.MOST_ROWS],
    "an imported state: its": [archive.MOST_VALUES // MILLION],
}


@pytest.mark.parametrize("what", LIMITS)
def test_table_has_the_numbers_that_hold(what: str) -> None:
    [limit] = [limit for name, limit in ROWS.items() if name.strip().startswith(what)]
    for number in LIMITS[what]:
        assert f"{number:,}" in limit
