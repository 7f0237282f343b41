"""`python -m astria_real_backend`: serve, train from the shell, draw, list models."""

import logging
import os
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import click

from astria_emulator import BackendError, claim, run_command, serve, set_up_logging
from astria_real_backend.commands import models
from astria_real_backend.config import METHODS, TrainConfig, preset
from astria_real_backend.server_side import translation
from astria_real_backend.server_side.bases import DEFAULTS
from astria_real_backend.server_side.catalog import Catalogue
from astria_real_backend.training.branches import BRANCHES

DRAWN_SIDE = 256  # pixels
PICTURES = 8  # drawn before and after, for the contact sheet


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Astria's API with training that is real."""


main.add_command(models)


@main.command(
    name="serve", context_settings={"ignore_unknown_options": True, "help_option_names": []}
)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def serve_real(flags: tuple[str, ...]) -> None:
    """As `astria-emulator serve --backend real`, whose flags it takes."""
    serve.main(["--backend", "real", *flags], prog_name="astria_real_backend serve")


@main.command()
@click.option(
    "--images", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True,
    help="Folder of pictures; NAME.txt beside NAME.jpg is its caption.",
)  # fmt: skip
@click.option("--name", required=True, help="Class of the subject, such as man or cat.")
@click.option("--branch", type=click.Choice([*BRANCHES]), default="sd15", show_default=True)
@click.option("--model-type", type=click.Choice(["lora", "pti"]), help="By default a checkpoint.")
@click.option("--token", default="sks", show_default=True, help="Rare word for the subject.")
@click.option("--steps", type=int, help="By default as many as the recipe says.")
@click.option("--seed", default=42, show_default=True)
@click.option("--face-crop", is_flag=True, help="Add crops of faces.")
@click.option("--base", type=int, help="Base by its id; by default the branch's own.")
@click.option(
    "--models", "models_file", type=click.Path(exists=True, path_type=Path), help="TOML file."
)
@click.option("--toy", is_flag=True, help="Train on the bundled toy base.")
@click.option("--prompt", help="Text of the contact sheet's pictures.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda:N.")
@click.option("--threads", default=1, show_default=True)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("tune"),
    show_default=True, help="Folder for what is made: new, empty, or of an earlier training.",
)  # fmt: skip
def train(
    images: Path, name: str, branch: str, model_type: str | None, token: str, steps: int | None,
    seed: int, face_crop: bool, base: int | None, models_file: Path | None, toy: bool,
    prompt: str | None, device: str, threads: int, out: Path,
) -> None:  # fmt: skip
    """Train on a folder of pictures: writes the weights, report.json, loss.png and contact.png."""
    catalogue = Catalogue.read(models_file, toy=toy)
    tune_id = base or DEFAULTS[branch]
    if tune_id not in catalogue.bases:
        raise click.ClickException(
            f"base {base} is not known: see `python -m astria_real_backend models`"
        )
    try:
        model = translation.base_files(catalogue, tune_id, branch, None)
    except BackendError as error:
        raise click.ClickException(str(error)) from None
    method = METHODS[model_type]
    config = TrainConfig(
        tune_id=0, base=model, method=method, subject=name, token=token,
        recipe=preset(model, method), steps=steps, seed=seed, face_crop=face_crop,
        threads=threads, device=device,
    )  # fmt: skip
    # torch is loaded here: everything above answers at once.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from astria_real_backend.shell import Bars, train_folder
    from astria_real_backend.training.tuning import Unusable

    os.umask(0o077)  # what is made of a person is its owner's only
    claim(out, "--out")
    try:
        with closing(Bars()) as bars:
            report = train_folder(config, images, out, prompt=prompt, pictures=PICTURES, bars=bars)
    except Unusable as error:
        raise click.ClickException(str(error)) from None
    print_report(report, out)


@main.command()
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("photos"),
    show_default=True, help="Folder for 1.jpg to 4.jpg.",
)  # fmt: skip
@click.option("--seed", default=1, show_default=True)
def draw(out: Path, seed: int) -> None:
    """Draw four pictures of a purple cat, which the toy base does not know, to train it on."""
    from astria_real_backend.toys import draw as drawing

    out.mkdir(parents=True, exist_ok=True)
    scenes = drawing.subject("cat", Random(seed), fur=drawing.PURPLE)  # noqa: S311 - no secret
    for at, scene in enumerate(scenes, 1):
        file = out / f"{at}.jpg"
        if file.exists():
            raise click.ClickException(f"{file} is there already: name another folder")
        drawing.draw(scene, DRAWN_SIDE).save(file, quality=95)
        click.echo(file)


def print_report(report: Mapping[str, Any], out: Path) -> None:
    """Print the outcome of a training in a few lines."""
    for image in report["images"]:
        state = "used" if image["used"] else "left out"
        note = image["reason"] or image.get("note") or ""
        click.echo(f"  {image['name']}: {state}{': ' + note if note else ''}")
    seconds = sum(report["seconds"].values())
    before = report["loss_before"]  # None for a training that went on from a checkpoint
    loss = f"{before:.4f} -> {report['loss_after']:.4f}" if before else report["loss_after"]
    click.echo(f"{report['steps']} steps, {seconds:.0f} s, loss {loss}")
    for file in sorted(out.glob("[!.]*")):
        click.echo(f"  {file}")


def run() -> None:
    """Entry point; `serve` sets up a log of its own."""
    if sys.argv[1:2] != ["serve"]:
        set_up_logging("WARNING")
    logging.captureWarnings(True)
    run_command(main, "astria_real_backend")


if __name__ == "__main__":
    run()
