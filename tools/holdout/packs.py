"""Bugs in packs and their runs."""

from dataclasses import replace

from astria_emulator.objects import packs
from astria_emulator.objects.packs import DONE, PackRun
from tools.holdout.planting import (
    change_attributes,
    change_result,
    replace_function,
    rows,
    without,
)


def marked(**marks):
    """Make the prompts of a run with other marks."""
    return replace_function(
        packs,
        "make_prompt",
        lambda make: lambda *of, **more: make(*of, **{**more, **marks}),
    )


def all_but_the_last(real):
    def templates(run):
        found = real(run)
        last = {row["class_name"]: row for row in found}
        return [row for row in found if row is not last[row["class_name"]]] or found

    return templates


def of_any_class(train):
    def trained(run, templates):
        name = run.attributes.get("name")
        if name and name not in {row["class_name"] for row in templates}:
            templates = [
                row.changed({**row.data, "class_name": name}, row.refs) for row in templates
            ]
        return train(run, templates)

    return trained


def with_the_packs_token(real):
    return lambda run, template, tune: real(
        run, template, tune.changed({**tune.data, "token": None}, tune.refs)
    )


def multi_as_any(begin):
    def begun(run):
        if not run.attributes.get("tune_ids"):
            plain = {**run.pack.data, "use_multi": False}
            run = replace(run, pack=run.pack.changed(plain, run.pack.refs))
        return begin(run)

    return begun


PACKS = rows(
    "packs",
    {
        "multi-run-does-not-tell-its-prompts": change_result(
            "run_pack", lambda found: DONE if "order" in found else found
        ),
        "last-template-of-a-class-is-left-out": replace_function(
            PackRun, "_templates", all_but_the_last
        ),
        "prompt-ids-are-ignored": change_attributes("run_pack", without("prompt_ids")),
        "characteristics-of-a-run-are-lost": change_attributes(
            "run_pack", without("characteristics")
        ),
        "run-takes-any-class": replace_function(PackRun, "_train", of_any_class),
        "multi-pack-trains-a-tune": replace_function(PackRun, "begin", multi_as_any),
        "token-of-the-pack-stays-in-the-text": replace_function(
            PackRun, "_text", with_the_packs_token
        ),
        "prompts-of-a-run-do-not-name-their-template": marked(orig_prompt_id=None),
    },
)
