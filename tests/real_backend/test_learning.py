"""Training teaches: losses across subjects, a subject's colour in pictures, a class that stays."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from training import STEPS, SUBJECTS, config_of, pictures_of

from astria_real_backend.config import Adapter, BaseFiles, SampleConfig
from astria_real_backend.training.adapters import apply_adapters, make_trainable
from astria_real_backend.training.branches import load_branch
from astria_real_backend.training.branches.branch import Branch
from astria_real_backend.training.classes import class_examples
from astria_real_backend.training.data import Examples, make_examples
from astria_real_backend.training.sample import sample
from astria_real_backend.training.train import fixed_noise_loss
from astria_real_backend.training.tuning import BranchCache, Outcome, prepared

CLEAR = 0.95  # of another subject's loss
NEAR = 70  # of 255, in each colour: how far a pixel may be from the subject's
SHOWN, NOT_SHOWN = 0.10, 0.05  # share of pixels in the subject's colour: mean, and at most
TEXT = "photo of sks cat on a white background"


def with_tune(
    base: BaseFiles, method: str, outcome: Outcome
) -> tuple[BaseFiles, tuple[Adapter, ...]]:
    files = tuple(map(str, outcome.files))
    if method == "checkpoint":
        return replace(base, checkpoint=files[0]), ()
    return base, (Adapter(7, files, 1.0, "sks"),)


def loss_of(toy: BaseFiles, method: str, outcome: Outcome, subject: str) -> float:
    """The loss on a subject's pictures of the base with a tune."""
    base, adapters = with_tune(toy, method, outcome)
    branch = load_branch(base, "cpu")
    prompt = apply_adapters(branch, adapters, "photo of sks cat")
    photos, _ = prepared(config_of(toy, method), pictures_of(subject))
    examples = make_examples(branch, photos, prompt, 1.0)
    return fixed_noise_loss(branch, Examples(examples, batch=4, seed=0))


def shares(pictures: Any, subject: str) -> list[float]:
    """How much of each picture has the subject's colour."""
    found = np.stack([np.asarray(picture, dtype=int) for picture in pictures])
    near = (np.abs(found - SUBJECTS[subject]).max(-1) < NEAR).mean((1, 2))
    return [float(share) for share in near]


def drawn(
    loaded: BranchCache,
    base: BaseFiles,
    adapters: tuple[Adapter, ...] = (),
    text: str = TEXT,
    count: int = 4,
) -> Any:
    asked = SampleConfig(
        base=base, prompt=text, seed=0, pictures=count, width=64, height=64, steps=16,
        guidance_scale=5.0, scheduler="euler", adapters=adapters,
    )  # fmt: skip
    branch = loaded.load(base, "cpu", asked.threads)
    return sample(branch, asked, lambda progress: True)


# -- what is learned -------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["lora", "checkpoint"])
def test_tune_knows_its_own_subject_better_than_anothers_does(
    toy: BaseFiles, trained: Callable[..., Outcome], method: str
) -> None:
    losses = {
        (tuned, shown): loss_of(toy, method, trained(method, tuned), shown)
        for tuned in SUBJECTS
        for shown in SUBJECTS
    }
    for own, other in (("purple", "teal"), ("teal", "purple")):
        assert losses[own, own] < CLEAR * losses[other, own], losses


@pytest.mark.parametrize("method", ["lora", "pti", "checkpoint"])
def test_pictures_show_the_subject_after_training_and_not_before(
    toy: BaseFiles, loaded: BranchCache, trained: Callable[..., Outcome], method: str
) -> None:
    assert max(shares(drawn(loaded, toy), "purple")) < NOT_SHOWN
    base, adapters = with_tune(toy, method, trained(method, "purple"))
    after = shares(drawn(loaded, base, adapters), "purple")
    assert np.mean(after) > SHOWN, after


@pytest.mark.parametrize("method", ["lora", "pti", "checkpoint"])
def test_loss_on_the_training_pictures_falls(trained: Callable[..., Outcome], method: str) -> None:
    report = trained(method, "purple").report
    assert report["loss_after"] < 0.9 * report["loss_before"]


def test_scale_turns_a_lora_down(
    toy: BaseFiles, loaded: BranchCache, trained: Callable[..., Outcome]
) -> None:
    _, [adapter] = with_tune(toy, "lora", trained("lora", "purple"))
    by_scale = {
        scale: np.mean(shares(drawn(loaded, toy, (replace(adapter, scale=scale),)), "purple"))
        for scale in (0.0, 1.0)
    }
    assert by_scale[0.0] < NOT_SHOWN < by_scale[1.0]
    plain, none = drawn(loaded, toy), drawn(loaded, toy, (replace(adapter, scale=0.0),))
    assert [np.asarray(a).tobytes() for a in plain] == [np.asarray(b).tobytes() for b in none]


def test_new_words_move_and_the_vocabulary_stays(
    toy: BaseFiles, branch: Branch, trained: Callable[..., Outcome]
) -> None:
    files = trained("pti", "purple").files
    rows = branch.read_token_embeddings(files[1])["text_encoder"]
    tokens = make_trainable(branch, config_of(toy, "pti")).tokens
    assert tokens is not None
    before = tokens.embeddings["text_encoder"]
    assert rows.shape == before.rows.shape == (2, 64)
    assert all((rows - before.rows).norm(dim=1) > 0.1 * before.rows.norm(dim=1))
    vocabulary = load_branch(toy, "cpu").text_encoder.get_input_embeddings().weight
    assert torch.equal(before.weight, vocabulary)


def test_words_of_a_tune_stand_in_for_its_token_each_once(
    toy: BaseFiles, trained: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """diffusers' own conversion of a prompt would repeat them."""
    _, adapters = with_tune(toy, "pti", trained("pti", "purple"))
    branch, read = load_branch(toy, "cpu"), []
    states = branch.encode_prompts

    def noted(texts: Any) -> torch.Tensor:
        read.extend(branch.pipeline.tokenizer.tokenize(text) for text in texts)
        return states(texts)

    monkeypatch.setattr(branch, "encode_prompts", noted)
    asked = SampleConfig(
        base=toy, prompt="a sks cat", seed=0, pictures=1, width=64, height=64, steps=1,
        guidance_scale=5.0, scheduler="euler", adapters=adapters,
    )  # fmt: skip
    sample(branch, asked, lambda progress: True)
    assert read == [["a</w>", "<tune7>", "<tune7>_1", "cat</w>"], []]


# -- the class -------------------------------------------------------------------------------------
def test_prior_preservation_keeps_the_class(
    toy: BaseFiles,
    loaded: BranchCache,
    trained: Callable[..., Outcome],
    run: Callable[..., Outcome],
    tmp_path: Any,
) -> None:
    """Cats in general keep their loss with it, and lose without."""
    config = config_of(toy, "checkpoint")
    classes = class_examples(
        loaded.load(toy, "cpu", config.threads), config, tmp_path, lambda progress: True
    )
    kept = trained("checkpoint", "purple")
    without = run("checkpoint", prior_weight=0.0, steps=STEPS["checkpoint"])

    def class_loss(base: BaseFiles) -> float:
        branch = load_branch(base, "cpu")
        return fixed_noise_loss(branch, Examples(classes, batch=4, seed=0))

    before = class_loss(toy)
    after = {
        name: class_loss(replace(toy, checkpoint=str(outcome.files[0])))
        for name, outcome in (("with", kept), ("without", without))
    }
    assert after["with"] < 0.9 * after["without"], (before, after)


# -- adapters come and go --------------------------------------------------------------------------
def test_new_adapter_changes_nothing(toy: BaseFiles, branch: Branch) -> None:
    noisy, times = torch.randn(2, 4, 16, 16), torch.tensor([10, 700])
    texts = ["photo of a cat", "photo of sks cat"]

    def seen() -> torch.Tensor:
        with torch.no_grad():
            return branch.predict(noisy, times, branch.encode_prompts(texts))

    before = seen()
    trainable = make_trainable(branch, config_of(toy, "lora"))
    assert {"denoiser", "text"} == set(trainable.groups)
    assert torch.equal(seen(), before)


@pytest.mark.parametrize("method", ["lora", "pti"])
def test_base_is_as_it_was_when_a_trained_adapter_is_taken_off(
    toy: BaseFiles, trained: Callable[..., Outcome], method: str
) -> None:
    branch = load_branch(toy, "cpu")
    weights = {**branch.unet.state_dict(), **branch.text_encoder.state_dict()}
    kept = {name: value.clone() for name, value in weights.items()}
    fingerprint = branch.fingerprint()
    _, adapters = with_tune(toy, method, trained(method, "purple"))
    apply_adapters(branch, adapters, "sks cat")
    assert {**branch.unet.state_dict(), **branch.text_encoder.state_dict()}.keys() != kept.keys()
    branch.restore()
    after = {**branch.unet.state_dict(), **branch.text_encoder.state_dict()}
    assert after.keys() == kept.keys()
    assert all(torch.equal(after[name], kept[name]) for name in kept)
    assert branch.fingerprint() == fingerprint
