"""Bugs in what objects hold and do: values, LoRAs, likes, copies, themes, inspection."""

from astria_emulator.api.handlers import likes, prompts, themes
from astria_emulator.domain import prompt_text
from astria_emulator.errors import ApiError, NotFound
from astria_emulator.objects import prompts as prompt_creation
from astria_emulator.objects import tunes
from tools.holdout.packs import PACKS
from tools.holdout.planting import (
    all_of,
    change_attributes,
    change_result,
    handle_by,
    replace_function,
    replace_value,
    rows,
    without,
)
from tools.holdout.wire_changes import change_objects, change_shown, refuse_where

NEW_PROMPT = "create_tune_prompt create_prompt"


# -- values ----------------------------------------------------------------------------------------
def last_style(patch, app):
    last = {}

    def change(prompt):
        if prompt.get("style"):
            last["style"] = prompt["style"]
        prompt.update(last)

    change_attributes(NEW_PROMPT, change)(patch, app)


def shown_in_lists(change):
    return all_of(
        change_objects("GET /prompts", change), change_objects("GET /tunes/*/prompts", change)
    )


def nested(change):
    """Alter the attributes of prompts that are nested in a tune."""

    def make(real):
        def made(services, caller, tune, prompt):
            prompt = dict(prompt)
            change(prompt)
            return real(services, caller, tune, prompt)

        return made

    return replace_function(tunes, "make_prompt", make)


def first_slot(fill):
    def filled(text, characteristics):
        beginning, end, rest = text.partition("}}")
        return fill(beginning + end, characteristics) + rest

    return filled


VALUES = rows(
    "values",
    {
        "title-is-cut-after-64-characters": change_attributes(
            "create_tune", lambda tune: tune.update(title=tune["title"][:64])
        ),
        "text-is-stripped": change_attributes(
            NEW_PROMPT, lambda prompt: prompt.update(text=(prompt.get("text") or "").strip())
        ),
        "seed-of-a-nested-prompt-is-lost": nested(without("seed")),
        "largest-seed-becomes-zero": change_attributes(
            NEW_PROMPT,
            lambda prompt: prompt.get("seed") and prompt.update(seed=prompt["seed"] & 0xFFFFFFFF),
        ),
        "seed-of-zero-is-none": change_shown(
            "prompt", lambda prompt: prompt.update(seed=prompt["seed"] or None)
        ),
        "aspect-ratio-is-null-in-lists": shown_in_lists(
            lambda prompt: prompt.update(aspect_ratio=None)
        ),
        "prompt-takes-the-style-of-the-one-before": last_style,
        "patched-title-loses-the-characteristics": change_attributes(
            "update_tune", lambda tune: tune.setdefault("characteristics", None)
        ),
        "patched-prompt-loses-its-pack": change_attributes(
            "update_prompt", lambda prompt: prompt.setdefault("base_pack_id", None)
        ),
        "only-the-first-characteristic-is-filled-in": replace_function(
            prompt_creation, "fill", first_slot
        ),
    },
)


# -- adapters --------------------------------------------------------------------------------------
def rehomed(change):
    """Alter the text and the base of a prompt under a LoRA: `change(home, sent, text, base)`."""

    def make(real):
        def moved(services, home, sent):
            text, base = real(services, home, sent)
            return change(home, sent, text, base) if home["model_type"] else (text, base)

        return moved

    return replace_function(prompt_creation, "_rehome", make)


def named_twice(home, sent, text, base):
    sent_text = sent.get("text") or ""
    token = prompt_text.token_for(home["model_type"], home.id)
    return (f"{token} {text}" if f":{home.id}" in sent_text else text), base


def found_under(test):
    """Find a prompt only under some of its tunes: `test(tune_id, row)`."""

    def make(under):
        def found(services, caller, tune_id, id):
            row = under(services, caller, tune_id, id)
            if not test(tune_id, row):
                raise NotFound
            return row

        return found

    return replace_function(prompts, "_under", make)


ADAPTERS = rows(
    "adapters",
    {
        "prompt-stays-under-its-lora": rehomed(lambda home, sent, text, base: (text, home)),
        "lora-in-the-text-is-put-there-again": rehomed(named_twice),
        "second-lora-of-a-text-is-not-named": replace_function(
            prompt_creation, "named_tunes", lambda real: lambda *of: real(*of)[:1]
        ),
        "lora-scale-of-a-nested-prompt-is-lost": nested(without("lora_scale")),
        "prompt-is-not-found-under-its-lora": found_under(
            lambda tune_id, row: tune_id == row["tune_id"]
        ),
        "prompt-is-not-listed-under-its-lora": handle_by(
            "list_tune_prompts",
            lambda handler, s, c, to: [
                row for row in handler(s, c, **to) if row["tune_id"] == to["tune_id"]
            ],
        ),
    },
)


# -- likes -----------------------------------------------------------------------------------------
def counted(change):
    """Alter a like's count: `change(before, after)` are rows, its result is the count."""

    def act(handler, services, caller, arguments):
        before = services.store.get("prompt", arguments["id"])
        answer = handler(services, caller, **arguments)
        row = services.store.current(before)
        services.store.update(row, {"prompt_likes_count": change(before, row)})
        return answer

    return handle_by("like_prompt unlike_prompt", act)


LIKES = rows(
    "likes",
    {
        "second-like-counts-again": counted(
            lambda before, after: after["prompt_likes_count"] + (before["liked"] and after["liked"])
        ),
        "like-that-was-not-given-is-taken-back": counted(
            lambda before, after: (
                after["prompt_likes_count"] - (not before["liked"] and not after["liked"])
            )
        ),
        "like-of-a-copy-does-not-reach-its-original": replace_value(
            likes, "_visible", lambda services, caller, prompt_id: None
        ),
        "other-name-of-likes-is-missing": refuse_where(
            lambda environ: environ["PATH_INFO"].endswith("/like"), NotFound()
        ),
    },
)


# -- duplicate -------------------------------------------------------------------------------------
def also_the_original(handler, services, caller, arguments):
    made = handler(services, caller, **arguments)
    original = services.store.get("prompt", arguments["id"])
    services.store.update(original, dict(arguments["body"].get("prompt") or {}))
    return made


def one_picture_before(handler, services, caller, arguments):
    body = dict(arguments["body"])
    if body.get("image_index"):
        body["image_index"] -= 1
    return handler(services, caller, **{**arguments, "body": body})


def copying(change):
    """Alter how a copy is made: `change(attributes, options)`."""

    def make(real):
        def made(services, caller, home, attributes, **options):
            attributes = dict(attributes)
            if options.get("is_copy"):
                change(attributes, options)
            return real(services, caller, home, attributes, **options)

        return made

    return replace_function(prompts, "make_prompt", make)


DUPLICATE = rows(
    "duplicate",
    {
        "copy-changes-its-original": handle_by("duplicate_prompt", also_the_original),
        "copy-does-not-name-its-original": copying(lambda found, how: how.pop("orig_prompt_id")),
        "picture-of-a-copy-is-the-one-before": handle_by("duplicate_prompt", one_picture_before),
        "copy-is-its-original-under-idempotency": copying(lambda found, how: how.pop("is_copy")),
    },
)


# -- themes, inspection ----------------------------------------------------------------------------
def by_file_only(handler, services, caller, arguments):
    if "file" not in arguments["body"]:
        raise ApiError
    return handler(services, caller, **arguments)


THEMES = rows(
    "themes",
    {
        "theme-makes-nine-prompts": replace_value(themes, "VARIATIONS", themes.VARIATIONS[:-1]),
        "prompt-attributes-of-a-theme-are-lost": change_attributes(
            "create_theme", without("prompt_attributes")
        ),
    },
)
INSPECTION = rows(
    "inspection",
    {
        "inspection-tells-of-purple-eyes": change_result(
            "inspect_image", lambda found: {**found, "eye_color": "purple eyes"}
        ),
        "inspection-by-address-fails": handle_by("inspect_image", by_file_only),
    },
)

OBJECTS = (*VALUES, *ADAPTERS, *PACKS, *LIKES, *DUPLICATE, *THEMES, *INSPECTION)
