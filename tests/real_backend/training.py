"""The toy base, its subjects, and tunes that are trained once: fixtures of real training."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of packages, as they are imported
    import torch

    from astria_real_backend.training.branches import load_branch
    from astria_real_backend.training.branches.branch import Branch
    from astria_real_backend.training.branches.libraries import silence_libraries

from astria_emulator import claim
from astria_real_backend.config import BaseFiles, TrainConfig, preset
from astria_real_backend.server_side.bases import TOY, TOY_FOLDER
from astria_real_backend.server_side.translation import files_of_base
from astria_real_backend.toys import draw
from astria_real_backend.training.photos import Source
from astria_real_backend.training.tuning import BranchCache, Outcome, tune

THREADS = 1
SEED = 42
STEPS = {"lora": 60, "pti": 60, "checkpoint": 90}
# Two subjects of one class, in colours that no cat of the toy base has.
SUBJECTS = {"purple": draw.PURPLE, "teal": (30, 170, 160)}


@pytest.fixture(scope="session", autouse=True)
def quiet() -> None:
    torch.set_num_threads(THREADS)
    silence_libraries()


@pytest.fixture(scope="session")
def toy() -> BaseFiles:
    """The toy base's files."""
    return files_of_base(TOY, TOY_FOLDER)


@pytest.fixture
def branch(toy: BaseFiles) -> Branch:
    """The toy base, as it is."""
    return load_branch(toy, "cpu")


def png(picture: Any) -> bytes:
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


@cache
def pictures_of(name: str, side: int = 64) -> tuple[Source, ...]:
    """Four pictures of a subject before different backdrops."""
    scenes = draw.subject("cat", Random(SEED), fur=SUBJECTS[name])
    return tuple(
        Source(f"{at}.png", png(draw.draw(scene, side))) for at, scene in enumerate(scenes)
    )


def config_of(toy: BaseFiles, method: str, **changes: Any) -> TrainConfig:
    """A training of a cat; names of the recipe's fields change the recipe."""
    recipe = preset(toy, method)
    own = {name: changes.pop(name) for name in [*changes] if hasattr(recipe, name)}
    given = {"subject": "cat", "token": "sks", "threads": THREADS, "base": toy, **changes}
    return TrainConfig(tune_id=1, method=method, recipe=replace(recipe, **own), **given)


@pytest.fixture(scope="session")
def loaded() -> BranchCache:
    return BranchCache()


@pytest.fixture(scope="session")
def trained(
    toy: BaseFiles, loaded: BranchCache, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Outcome]:
    """A tune of a method on a subject, in half the preset's steps or so; each is trained once."""
    classes = tmp_path_factory.mktemp("classes")
    claim(classes, "")

    @cache
    def train(method: str, subject: str) -> Outcome:
        folder = tmp_path_factory.mktemp(f"{method}-{subject}")
        claim(folder, "")
        return tune(
            loaded, config_of(toy, method, steps=STEPS[method]), pictures_of(subject),
            folder=folder, classes_folder=classes, report=lambda progress: True,
        )  # fmt: skip

    return train


@pytest.fixture
def run(toy: BaseFiles, loaded: BranchCache, tmp_path: Path) -> Callable[..., Outcome]:
    """Trains as asked, in a folder of the test's own."""
    claim(tmp_path, "", is_ours=lambda path: True)

    def run(method: str, of: str = "purple", **changes: Any) -> Outcome:
        folder = changes.pop("folder", tmp_path)
        report = changes.pop("report", lambda progress: True)
        sources = changes.pop("sources", pictures_of(of))
        return tune(
            loaded, config_of(toy, method, **changes), sources,
            folder=folder, classes_folder=tmp_path / "classes", report=report,
        )  # fmt: skip

    return run
