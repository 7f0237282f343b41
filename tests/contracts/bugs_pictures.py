"""Planted bugs of pictures, addresses and inspection, and the properties that find each."""

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

from planting import Answer, Bug, Call, Environ, Real, intercept, is_at, replace_function
from wire_changes import FILE, PROMPTS, TUNE, TUNES, change_answer, change_fields

from astria_emulator.mock import backend, drawing
from astria_emulator.work import generation

RUN = r"/p/[\w-]+/tunes"
TICK = count()


def with_noise(environ: Environ, call: Call) -> Answer:
    found = call(environ)
    noise = os.urandom(4) if is_at(environ, "GET", FILE) else b""
    return Answer(found.status, found.headers, found.content + noise)


def as_a_page(environ: Environ, call: Call) -> Answer:
    found = call(environ)
    kind = {"Content-Type": "text/html"} if is_at(environ, "GET", FILE) else {}
    return Answer(found.status, {**found.headers, **kind}, found.content)


def one_index(real: Real) -> Real:
    def pictures(self: Any, job: Any) -> Any:
        made = real(self, job)
        return made[:1] * len(made)

    return pictures


def seeded(**more: Any) -> Callable[[Real], Real]:
    """Pictures depend on other seeds; `seed` is for all of those that were not given one."""

    def make(real: Real) -> Real:
        def job(services: Any, row: Any) -> Any:
            found = real(services, row)
            given = row.get("seed") is not None
            seed = found.seed if given and "seed" in more else more.get("seed", found.prompt_id)
            return replace(found, seed=seed)

        return job

    return make


BUGS = (
    # -- addresses
    Bug(
        "address-is-another-objects",
        change_fields(".*", lambda o: {"url": f"{o['url'][:-6]}9.json"} if "url" in o else {}),
        "addresses::objects_are_at_their_addresses",
    ),
    Bug(
        "uploads-are-shown-backwards",
        change_fields(
            f"{TUNES}|{TUNE}|{RUN}",
            lambda t: {"orig_images": t["orig_images"][::-1]},
            method="POST",
        ),
        "addresses::uploads_come_back_byte_for_byte_in_their_order",
        "addresses::pack_run_shows_what_was_uploaded",
        "forms::files_are_written_with_empty_or_with_numbered_brackets",
    ),
    Bug(
        "input-and-mask-are-mixed-up",
        change_fields(
            PROMPTS,
            lambda p: {"input_image": p["mask_image"], "mask_image": p["input_image"]},
            method="POST",
        ),
        "addresses::inputs_of_a_prompt_come_back_byte_for_byte",
    ),
    Bug(
        "cover-leads-nowhere",
        change_fields("/p/.*|/gallery/packs", lambda p: {"cover_url": f"{p['cover_url']}0"}),
        "addresses::covers_and_examples_of_packs_are_pictures",
    ),
    Bug("files-are-pages", intercept(as_a_page), "addresses::pictures_of_a_prompt_are_pictures"),
    Bug(
        "pictures-of-a-prompt-are-one",
        replace_function(backend.MockBackend, "_pictures", one_index),
        "addresses::pictures_of_a_prompt_differ",
    ),
    Bug(
        "picture-by-address-is-empty",
        replace_function(drawing, "draw_reference", lambda real: lambda *_: b"nothing"),
        "addresses::pictures_sent_by_address_are_shown",
    ),
    Bug(
        "video-is-empty",
        replace_function(drawing, "clip", lambda real: lambda *_: b"nothing"),
        "addresses::video_is_a_video",
    ),
    # -- determinism
    Bug(
        "files-differ-every-time",
        intercept(with_noise),
        "determinism::picture_is_the_same_every_time",
        "duplicate::copy_keeps_its_input_when_the_original_is_gone",
    ),
    Bug(
        "seed-is-ignored",
        replace_function(generation, "generate_job", seeded()),
        "determinism::seed_decides_the_pictures",
    ),
    Bug(
        "prompts-without-a-seed-have-one",
        replace_function(generation, "generate_job", seeded(seed=1)),
        "determinism::prompts_without_a_seed_differ",
    ),
    Bug(
        "pictures-have-one-size",
        replace_function(generation, "picture_size", lambda real: lambda *_: (64, 64)),
        "determinism::picture_has_the_size_that_was_asked_for",
        "determinism::picture_has_the_shape_that_was_asked_for",
    ),
    # -- inspection
    Bug(
        "inspection-names-another-class",
        change_answer("POST", "/images/inspect", lambda found: {**found, "name": "person"}),
        "inspection::picture_is_inspected_by_its_address",
    ),
    Bug(
        "inspection-is-a-matter-of-chance",
        change_answer("POST", "/images/inspect", lambda f: {**f, "selfie": next(TICK) % 2 == 0}),
        "inspection::picture_is_inspected_as_a_file",
    ),
    Bug(
        "things-have-eyes",
        change_answer("POST", "/images/inspect", lambda found: {**found, "eye_color": "NONE"}),
        "inspection::thing_has_no_traits_of_people",
    ),
    Bug(
        "inspection-blames-nothing",
        change_answer(
            "POST",
            "/images/inspect",
            lambda found: {"base": next(iter(found.values()))},
            status=422,
        ),
        "inspection::inspection_without_a_class_or_a_picture_is_refused",
    ),
)
