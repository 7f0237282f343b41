"""What a tune leaves: files that diffusers opens, and all that is to be known of them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file
from training import Branch, config_of, load_branch

from astria_real_backend.config import Adapter, BaseFiles
from astria_real_backend.training import export
from astria_real_backend.training.adapters import apply_adapters, make_trainable
from astria_real_backend.training.branches.sd15 import load_pipeline
from astria_real_backend.training.tuning import Outcome, Unusable


@pytest.mark.parametrize("method", ["lora", "pti", "checkpoint"])
def test_file_tells_its_recipe_seed_versions_and_hashes(
    trained: Callable[..., Outcome], method: str
) -> None:
    outcome = trained(method, "purple")
    for file in outcome.files:
        about = {k: json.loads(v) for k, v in export.metadata_of(file).items() if k != "format"}
        assert about["recipe"]["seed"] == 42
        assert about["recipe"]["steps"] == outcome.report["steps"]
        assert about["versions"]["torch"] == torch.__version__
        assert len(about["pictures"]) == 64
        assert outcome.report["sha256"][file.name] == export.digest_of(file)


@pytest.mark.parametrize("method", ["lora", "pti", "checkpoint"])
def test_report_tells_of_every_picture_phase_and_step(
    trained: Callable[..., Outcome], method: str
) -> None:
    report = trained(method, "purple").report
    json.dumps(report)
    assert [image["used"] for image in report["images"]] == [True] * 4
    assert len(report["losses"]) == report["steps"]
    assert {"pictures", "loading", "training", "saving"} <= set(report["seconds"])
    assert report["read_again_differs_by"] <= export.TOLERANCE


def test_diffusers_opens_the_checkpoint(toy: BaseFiles, trained: Callable[..., Outcome]) -> None:
    [file] = trained("checkpoint", "purple").files
    pipeline = StableDiffusionPipeline.from_single_file(
        str(file), config=toy.folder, local_files_only=True, safety_checker=None
    )
    pipeline.set_progress_bar_config(disable=True)
    [picture] = pipeline("sks cat", num_inference_steps=2, width=64, height=64).images
    assert picture.size == (64, 64)


def test_diffusers_opens_the_adapter_and_the_words(
    toy: BaseFiles, trained: Callable[..., Outcome]
) -> None:
    adapter, words = trained("pti", "purple").files
    pipeline = load_pipeline(toy)
    pipeline.load_lora_weights(str(adapter.parent), weight_name=adapter.name)
    pipeline.load_textual_inversion(str(words.parent), weight_name=words.name)
    assert pipeline.tokenizer.tokenize("<sks>") == ["<sks>"]
    assert "<sks>_1" in pipeline.maybe_convert_prompt("a <sks> cat", pipeline.tokenizer)


def test_file_that_differs_from_what_was_trained_is_found(
    toy: BaseFiles, branch: Branch, tmp_path: Path
) -> None:
    trainable = make_trainable(branch, config_of(toy, "lora"))
    files = export.write(branch, trainable, tmp_path, {})
    assert export.verify(branch, trainable, files) == 0.0
    tensors = {name: value + 0.1 for name, value in load_file(files[0]).items()}
    save_file(tensors, files[0])
    with pytest.raises(export.NotTheSame, match="differs by"):
        export.verify(branch, trainable, files)


@pytest.mark.parametrize("part", ["unet", "text_encoder", "vae"])
def test_checkpoint_with_weights_that_were_not_trained_is_found(
    toy: BaseFiles, branch: Branch, tmp_path: Path, part: str
) -> None:
    trainable = make_trainable(branch, config_of(toy, "checkpoint"))
    files = export.write(branch, trainable, tmp_path, {})
    assert export.verify(branch, trainable, files) == 0.0
    with torch.no_grad():  # as if training had changed it, and not what was written
        next(getattr(branch.pipeline, part).parameters()).mul_(1.01)
    with pytest.raises(export.NotTheSame, match=part):
        export.verify(branch, trainable, files)


def test_base_of_a_single_file_needs_no_weights_beside_it(
    toy: BaseFiles, trained: Callable[..., Outcome], tmp_path: Path
) -> None:
    [file] = trained("checkpoint", "purple").files
    config = tmp_path / "config"
    shutil.copytree(toy.folder, config, ignore=shutil.ignore_patterns("*.safetensors"))
    base = BaseFiles(**{**vars(toy), "folder": str(config), "checkpoint": str(file)})
    assert load_pipeline(base).unet.config.sample_size == 16


@pytest.mark.parametrize("method", ["pti", "checkpoint"])
def test_files_are_read_whatever_they_are_called(
    toy: BaseFiles, trained: Callable[..., Outcome], tmp_path: Path, method: str
) -> None:
    """A server keeps them under keys without an ending."""
    kept = [tmp_path / str(at) for at in range(len(trained(method, "purple").files))]
    for path, file in zip(kept, trained(method, "purple").files, strict=True):
        shutil.copyfile(file, path)
    if method == "checkpoint":
        assert load_pipeline(BaseFiles(**{**vars(toy), "checkpoint": str(kept[0])})).unet
    else:
        adapter = Adapter(7, tuple(map(str, kept)), 1.0, "sks")
        assert "<tune7>_1" in apply_adapters(load_branch(toy, "cpu"), [adapter], "a sks cat")


def test_nothing_is_left_beside_the_files(run: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = run("lora", steps=2)
    assert [*tmp_path.glob("[!.]*")] == [*outcome.files]


def test_tune_goes_on_from_a_former_adapter(
    toy: BaseFiles, trained: Callable[..., Outcome], run: Callable[..., Outcome]
) -> None:
    """Its loss begins where the former one's ended."""
    former = trained("lora", "purple")
    files = tuple(map(str, former.files))
    again = run("lora", steps=1, former=files)
    assert again.report["loss_before"] < 0.95 * former.report["loss_before"]
    whole = run("checkpoint", steps=1, former=files, prior_weight=0.0)
    assert whole.report["loss_before"] < 0.95 * former.report["loss_before"]


def test_tune_goes_on_from_a_former_checkpoint(
    toy: BaseFiles, trained: Callable[..., Outcome], run: Callable[..., Any], tmp_path: Path
) -> None:
    former = trained("checkpoint", "purple")
    base = {**vars(toy), "checkpoint": str(former.files[0])}
    again = run("lora", steps=1, base=BaseFiles(**base))
    assert again.report["loss_before"] < 0.95 * former.report["loss_before"]


@pytest.mark.parametrize(("name", "expected"), [("steps", 3), ("seed", 7), ("token", "zwx")])
def test_parameter_is_in_the_report(run: Callable[..., Outcome], name: str, expected: Any) -> None:
    report = run("lora", **{"steps": 1, name: expected}).report
    assert report["recipe"][name] == expected
    assert ("zwx" in report["prompt"]) is (name == "token")


def test_without_a_usable_picture_the_reasons_are_told(run: Callable[..., Outcome]) -> None:
    from astria_real_backend.training.photos import Source

    with pytest.raises(Unusable, match=r"None of the 1 pictures can be used \(picture 1: "):
        run("lora", sources=[Source("a.png", b"nothing"), Source("a.txt", b"a cat")])


def test_face_crops_are_added_and_captioned(run: Callable[..., Outcome], toy: BaseFiles) -> None:
    from io import BytesIO

    import skimage.data
    from PIL import Image

    from astria_real_backend.training.photos import Source

    out = BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(out, "PNG")
    report = run(
        "lora", sources=[Source("a.png", out.getvalue())], steps=1, subject="woman", face_crop=True
    ).report
    assert [crop["kind"] for crop in report["images"][0]["crops"]] == ["whole", "face"]
