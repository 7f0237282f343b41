"""Where witnesses and the contract do not agree, and why."""

TUNE, PROMPT, PACK = "docs/api/0-tune", "docs/api/1-prompt", "docs/api/2-pack"
FACEID = "docs/features/faceid.md"

NO_KEY = "the page makes a header with the key and does not send it"
# Requests that are shown as if they were taken: the status that they are answered with, and why.
REFUSED = {
    f"{TUNE}/2-retrieve.md: retrieve a tune, without the key (Python)": (401, NO_KEY),
    f"{PACK}/1-list.md: list own packs, without the key (Python)": (401, NO_KEY),
    f"{PACK}/2-get.md: retrieve a pack, without the key (Python)": (401, NO_KEY),
    "docs/api/5-themes/1-create.md: create a theme, a form that says it is JSON (Python)": (
        *(400, "what it says is JSON is none"),
    ),
    "docs/features/face-inpainting.md: face inpainting, flat JSON to /generate": (
        *(404, "the path is on no other page, and its body names no tune to make pictures with"),
    ),
    "docs/use-cases/upscale.md: parameter list: upscale": (
        *(422, "prompt_expansion is a boolean, and the list has JavaScript's undefined"),
    ),
}
# Attributes that are shown otherwise than they were sent, and why.
NOT_KEPT: dict[str, tuple[set[str], str]] = {}

OLD = "the page's object is older than these fields, which records have"
OLD_TUNE = ("is_api", "callback", "eta", "training_face_correct")
OLD_PROMPT = (
    *("prompt_likes_count", "base_pack_id", "input_image", "mask_image", "super_resolution", "ar"),
    *("num_images", "controlnet_conditioning_scale", "controlnet_txt2img", "denoising_strength"),
    *("style", "w", "h", "images", "liked", "tune", "tunes", "aspect_ratio", "resolution"),
    *("pack_id", "order_id", "workspace_id", "cost_mc", "user_error"),
)
NEW_PROMPT = ("aspect_ratio", "resolution", "pack_id", "order_id", "workspace_id", "cost_mc")
NO_BOOLEAN = 'null is not of type "boolean"'
CROP = "null on the pages, and a boolean in every record"


def lacks(*names: str, at: str = "") -> tuple[str, ...]:
    return tuple(f"{at}{name} is missing" for name in names)


# What is found wrong with a body, and why that is not taken for a fault of the contract.
DEVIATIONS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (f"{TUNE}/1-create.md: the tune that was created", lacks("is_api", "callback"), OLD),
    (f"{TUNE}/1-create.md: the tune that was created", (f"face_crop: {NO_BOOLEAN}",), CROP),
    (f"{TUNE}/2-retrieve.md: the tune", lacks(*OLD_TUNE), OLD),
    (f"{TUNE}/2-retrieve.md: the tune", (f"face_crop: {NO_BOOLEAN}",), CROP),
    (f"{TUNE}/4-list.md: the tunes", lacks(*OLD_TUNE, at="0."), OLD),
    (f"{TUNE}/4-list.md: the tunes", lacks(*OLD_TUNE[1:], at="1."), OLD),
    (f"{TUNE}/4-list.md: the tunes", tuple(f"{n}.face_crop: {NO_BOOLEAN}" for n in "01"), CROP),
    (
        f"{TUNE}/4-list.md: the tunes",
        ("ids do not descend: [1, 775459]",),
        "the page says newest first, and its first id is made up",
    ),
    (f"{FACEID}: the faceid tune, the first of two", lacks("is_api", "callback"), OLD),
    (f"{FACEID}: the faceid tune, the first of two", (f"face_crop: {NO_BOOLEAN}",), CROP),
    (f"{FACEID}: the faceid tune, the second of two", lacks("callback"), OLD),
    (
        f"{FACEID}: the faceid tune, the second of two",
        (f"face_crop: {NO_BOOLEAN}", f"training_face_correct: {NO_BOOLEAN}"),
        "as face_crop elsewhere; the tune is older than the field",
    ),
    (f"{PROMPT}/1-create.md: the prompt that was created", lacks(*OLD_PROMPT), OLD),
    (f"{PROMPT}/2-retrieve.md: the prompt", lacks(*OLD_PROMPT), OLD),
    (f"{PROMPT}/3-duplicate.md: the copy", lacks(*OLD_PROMPT), OLD),
    (f"{PROMPT}/4-list.md: the prompts", lacks(*OLD_PROMPT, at="0."), OLD),
    (
        f"{PACK}/2-get.md: the pack",
        (*lacks("template_prompts"), *lacks("costs.man.cost_mc", "costs.woman.cost_mc")),
        OLD,
    ),
    (
        "docs/api/5-themes/1-create.md: a theme, by the response block",
        ("status 200 is unknown",),
        "the page's text says 201",
    ),
    (
        "recorded: botpress: a faceid tune",
        lacks("training_face_correct"),
        "the pages have the field, and this record of 2024 has not",
    ),
    (
        "recorded: csharp and mcp: a finished prompt",
        lacks(*NEW_PROMPT, "user_error"),
        "the records are older than these fields, which those of 2025 and later have",
    ),
    (
        "recorded: cli: the models",
        ("cli is unknown", "skills is unknown"),
        "the command line replaces itself when it is told of a later version",
    ),
)
