"""What the emulator assumes where Astria's documentation is silent or at odds with recordings.

A row with more than one choice can be switched: `--assume NAME=VALUE`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from astria_emulator.errors import SetupError


@dataclass(frozen=True)
class Assumption:
    """One row: the first choice is the default; a row with one choice cannot be switched."""

    name: str
    choices: tuple[str, ...]
    says: str


ASSUMPTIONS = (
    Assumption("callback-body", ("reduced", "full"), "A callback's object has nine (tune) or ten (prompt) fields, or is the whole object; wrapped either way."),
    Assumption("prompts-callback", ("array", "wrapped"), "prompts_callback receives a bare array, or {\"prompts\": [...]}."),
    Assumption("failure-callback", ("send", "skip"), "A prompt that failed calls back, with no images."),
    Assumption("fast-branch", ("echo", "sdxl1"), "A tune made with branch=fast shows that branch, or sdxl1 as in the documented example."),
    Assumption("cfg-scale", ("string", "number"), "cfg_scale is shown as the string \"3.0\", or as a number; null when not given."),
    Assumption("delete-status", ("200", "204"), "DELETE of a tune answers 200 without a body, of a prompt 200 with a message; or both 204."),
    Assumption("repeat-status", ("201", "200"), "A repeated request under idempotency answers with the existing object and this status."),
    Assumption("adapter-prompts", ("rehome", "refuse"), "A prompt posted under a LoRA or FaceID tune moves to its base; or 422 as until the end of 2025."),
    Assumption("flux-weights", ("hidden", "shown"), "ckpt_url stays null for Flux (LoRA download is not licensed), or gives the LoRA file."),
    Assumption("minimum-images", ("1", "4"), "The fewest training pictures that a tune needs; FaceID always takes one."),
    Assumption("class-names", ("any", "strict"), "A tune's name may hold anything, or English letters, digits and spaces only."),
    Assumption("keys", ("sd", "any"), "Without --keys every key that begins with sd_ is an account, or every key."),
    Assumption("error-bodies", ("rails",), "400, 404, 405, 413, 415, 429, 500 and 504 answer {\"status\": ..., \"error\": ...}; 401 is plain text; 422 is the bare errors hash."),
    Assumption("limit", ("clamp",), "A limit above 120 counts as 120; an offset that is too deep is refused with 400."),
    Assumption("base", ("by branch",), "Without base_tune_id the base is 690204 (sd15), 666678 (sdxl1) or 1504944 (flux1); the answer shows null."),
    Assumption("model-type", ("by branch",), "sdxl1 makes pti and flux1 makes lora, whatever is asked for besides faceid; fast without a model_type is a checkpoint."),
    Assumption("faceid", ("ready",), "A FaceID tune is trained as it is made, has no token but the one it was given, no weights, and sends no callback."),
    Assumption("failed-tune", ("untrained",), "A tune that failed shows trained_at null; its waiting prompts end with a user_error."),
    Assumption("unknown-base", ("422",), "An unknown base_tune_id is refused: {\"base_tune_id\": [\"must exist\"]}."),
    Assumption("gallery", ("read only",), "Gallery tunes are readable by every key; PATCH and DELETE on them are 404; their lists show the caller's own prompts."),
    Assumption("deletion", ("own prompts",), "Deleting a tune deletes the prompts posted under it or nested in it, not those on a base that merely name it."),
    Assumption("expiry", ("30 days",), "30 days after trained_at files and prompts go, the tune stays readable, and prompts that use it are refused."),
    Assumption("workspaces", ("personal",), "Without X-Workspace-Id a list shows the personal scope; `all` shows everything; an unknown workspace is 404."),
    Assumption("missing-characteristic", ("blank",), "{{key}} without a characteristic of that name leaves nothing."),
    Assumption("themes", ("201",), "POST /themes answers 201 without a body; the ten texts come from a fixed list."),
    Assumption("prices", ("zero",), "cost_mc is 0: nothing is charged here."),
    Assumption("pictures", ("area",), "Without w and h a picture has the aspect ratio on 512 x 512 (sd15, fast) or 1024 x 1024 pixels; super_resolution makes it four times as large, up to 4096."),
    Assumption("no-picture", ("422",), "A file for a picture must have the header of a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC: else {\"images\": [\"is not an image\"]}; its name and content type do not matter. A text file named .txt among training pictures is the caption of the one of its name."),
    Assumption("fetching", ("never", "always"), "Pictures given by address are not fetched but shown as a card; or they are fetched as a tune or prompt is made, and 422 where that fails."),
)  # fmt: skip


def read_assumptions(pairs: Iterable[str]) -> Mapping[str, str]:
    """Return the value of every assumption, after `NAME=VALUE` texts have switched some.

    Raises SetupError with all that is wrong.
    """
    values = {row.name: row.choices[0] for row in ASSUMPTIONS}
    choices = {row.name: row.choices for row in ASSUMPTIONS if len(row.choices) > 1}
    problems = []
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in choices:
            problems.append(f"{name!r}: expected one of {', '.join(choices)}")
        elif value not in choices[name]:
            problems.append(f"{name}={value!r}: expected one of {', '.join(choices[name])}")
        else:
            values[name] = value
    if problems:
        raise SetupError("--assume", problems)
    return values
