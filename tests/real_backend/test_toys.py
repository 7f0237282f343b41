"""The toy base: what it is drawn from, what it weighs, and that its script works."""

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
from click.testing import CliRunner
from training import BaseFiles, Branch, load_branch

from astria_real_backend.server_side.bases import TOY, TOY_FOLDER
from astria_real_backend.server_side.catalog import Catalogue
from astria_real_backend.toys import draw
from astria_real_backend.toys.make import main

LARGEST = 8_000_000  # bytes of all weights


def test_weights_are_small_and_half_precision() -> None:
    files = [*TOY_FOLDER.rglob("*.safetensors")]
    assert len(files) == 3
    assert sum(file.stat().st_size for file in files) < LARGEST
    assert {b"F16" in file.read_bytes()[:4000] for file in files} == {True}


def test_recipe_tells_seeds_steps_and_seconds() -> None:
    told = json.loads((TOY_FOLDER / "recipe.json").read_text())
    for name in ("shapes", "colours"):
        assert {"seed", "steps", "loss", "seconds", "cpu_seconds", "torch"} <= set(told[name])


def test_base_is_in_the_catalogue() -> None:
    assert Catalogue.read(toy=True).absence(TOY) is None


@pytest.mark.parametrize("kind", draw.CLASSES)
def test_scene_is_drawn_the_same_again_and_others_differ(kind: str) -> None:
    scenes = [draw.random_scene(Random(seed), kind) for seed in (1, 1, 2)]
    first, same, other = (np.asarray(draw.draw(scene)).tobytes() for scene in scenes)
    assert first == same != other


def test_subject_is_one_figure_before_four_backdrops() -> None:
    scenes = draw.subject("cat", Random(1), fur=(1, 2, 3))
    assert [scene.fur for scene in scenes] == [(1, 2, 3)] * 4
    assert len({scene.backdrop for scene in scenes}) == 4


def test_every_word_of_captions_is_one_token(branch: Branch) -> None:
    chance = Random(0)
    captions = [draw.caption(draw.random_scene(chance), chance) for _ in range(300)]
    words = sorted({word for caption in captions for word in caption.split()})
    assert len(words) > 40
    tokenize = branch.pipeline.tokenizer.tokenize
    assert [word for word in words if len(tokenize(word)) != 1] == []


def test_script_makes_a_base_from_nothing(tmp_path: Path) -> None:
    flags = ("--autoencoder-steps", "1", "--shape-steps", "1", "--colour-steps", "1")
    given = ["--out", str(tmp_path), "--pictures", "24", "--threads", "1", *flags]
    done = CliRunner().invoke(main, given)
    assert done.exit_code == 0, done.output
    base = BaseFiles(
        tune_id=1, family="sd15", preset="toy", folder=str(tmp_path), side=64, bucket_step=8
    )
    assert load_branch(base, "cpu").unet.config.sample_size == 16
    assert {*json.loads((tmp_path / "recipe.json").read_text())} == {"shapes", "colours"}
