"""A pipeline in one file reads back bit for bit, under the names that other tools know."""

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs astria-emulator[real]")
diffusers = pytest.importorskip("diffusers", reason="needs astria-emulator[real]")

from safetensors import safe_open  # noqa: E402
from transformers import CLIPTextConfig, CLIPTextModel  # noqa: E402

from astria_real_backend.toys.draw import WORDS  # noqa: E402
from astria_real_backend.training.branches.sd15_single_file import to_single_file  # noqa: E402
from astria_real_backend.training.branches.sd15_toy import make_pipeline, make_tokenizer  # noqa: E402
from astria_real_backend.training.export import save_weights  # noqa: E402

PARTS = ("unet", "vae", "text_encoder")
UNET, VAE = "model.diffusion_model.", "first_stage_model."
TEXT = "cond_stage_model.transformer.text_model."
# Weights of v1-5-pruned-emaonly.safetensors and their shapes.
KNOWN = {
    f"{UNET}time_embed.0.weight": (1280, 320),
    f"{UNET}input_blocks.0.0.weight": (320, 4, 3, 3),
    f"{UNET}input_blocks.1.0.in_layers.2.weight": (320, 320, 3, 3),
    f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
    f"{UNET}input_blocks.3.0.op.weight": (320, 320, 3, 3),
    f"{UNET}input_blocks.4.0.skip_connection.weight": (640, 320, 1, 1),
    f"{UNET}input_blocks.8.1.proj_in.weight": (1280, 1280, 1, 1),
    f"{UNET}input_blocks.11.0.out_layers.3.weight": (1280, 1280, 3, 3),
    f"{UNET}middle_block.1.transformer_blocks.0.ff.net.0.proj.weight": (10240, 1280),
    f"{UNET}middle_block.2.emb_layers.1.weight": (1280, 1280),
    f"{UNET}output_blocks.2.1.conv.weight": (1280, 1280, 3, 3),
    f"{UNET}output_blocks.5.2.conv.weight": (1280, 1280, 3, 3),
    f"{UNET}output_blocks.11.1.transformer_blocks.0.attn1.to_out.0.bias": (320,),
    f"{UNET}out.2.bias": (4,),
    f"{VAE}encoder.down.1.block.0.nin_shortcut.weight": (256, 128, 1, 1),
    f"{VAE}encoder.down.2.downsample.conv.weight": (512, 512, 3, 3),
    f"{VAE}encoder.mid.attn_1.q.weight": (512, 512, 1, 1),
    f"{VAE}decoder.mid.attn_1.proj_out.bias": (512,),
    f"{VAE}decoder.mid.block_2.conv1.weight": (512, 512, 3, 3),
    f"{VAE}decoder.up.0.block.0.nin_shortcut.weight": (128, 256, 1, 1),
    f"{VAE}decoder.up.3.upsample.conv.weight": (512, 512, 3, 3),
    f"{VAE}decoder.norm_out.weight": (128,),
    f"{VAE}quant_conv.weight": (8, 8, 1, 1),
    f"{TEXT}embeddings.token_embedding.weight": (49408, 768),
    f"{TEXT}embeddings.position_embedding.weight": (77, 768),
    f"{TEXT}encoder.layers.11.self_attn.out_proj.weight": (768, 768),
    f"{TEXT}encoder.layers.0.mlp.fc1.weight": (3072, 768),
    f"{TEXT}final_layer_norm.bias": (768,),
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The toy's networks with random weights."""
    torch.manual_seed(0)
    made = make_pipeline(make_tokenizer(WORDS, tmp_path_factory.mktemp("tokenizer")))
    made.set_progress_bar_config(disable=True)
    for part in PARTS:
        getattr(made, part).eval()
    return made


def parts_of(pipeline: Any) -> list[Any]:
    return [getattr(pipeline, part) for part in PARTS]


def stand_in(model: Any, state: dict[str, Any]) -> Any:
    """A model with other weights."""
    return SimpleNamespace(config=model.config, state_dict=lambda: state)


def picture(pipeline: Any) -> Any:
    made = pipeline(
        "a red cat", width=64, height=64, num_inference_steps=2, output_type="np",
        generator=torch.Generator().manual_seed(7),
    )  # fmt: skip
    return made.images


def test_pipeline_in_one_file_reads_back_bit_for_bit(pipeline: Any, tmp_path: Path) -> None:
    file, configs = tmp_path / "toy.safetensors", tmp_path / "configs"
    save_weights(file, to_single_file(*parts_of(pipeline)), {}, dtype=torch.float32)
    pipeline.save_pretrained(configs)
    for weights in configs.rglob("*.safetensors"):
        weights.unlink()
    again = diffusers.StableDiffusionPipeline.from_single_file(
        str(file), config=str(configs), local_files_only=True
    )
    again.set_progress_bar_config(disable=True)
    for one, other in zip(parts_of(pipeline), parts_of(again), strict=True):
        expected, found = one.state_dict(), other.state_dict()
        assert found.keys() == expected.keys()
        assert {name for name in found if not torch.equal(found[name], expected[name])} == set()
    assert (picture(again) == picture(pipeline)).all()


def test_file_is_in_half_precision_and_says_what_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "one.safetensors"
    save_weights(file, {"a": torch.ones(2, 3).T}, {"steps": "300"})
    with safe_open(file, framework="pt") as opened:
        assert opened.metadata() == {"format": "pt", "steps": "300"}
        assert opened.get_tensor("a").dtype == torch.float16


def test_names_and_shapes_are_those_of_stable_diffusion_1_5() -> None:
    with torch.device("meta"):
        unet = diffusers.UNet2DConditionModel(cross_attention_dim=768)
        vae = diffusers.AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512), layers_per_block=2,
        )  # fmt: skip
        text = CLIPTextModel(
            CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12)
        )
    found = to_single_file(unet, vae, text)
    assert {name: tuple(found[name].shape) for name in KNOWN} == KNOWN
    counts = [sum(name.startswith(prefix) for name in found) for prefix in (UNET, VAE, TEXT)]
    assert counts == [686, 248, 196]


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("layers", [1, 3])
def test_any_number_of_levels_and_layers_has_names(levels: int, layers: int) -> None:
    from diffusers.loaders.single_file_utils import (
        convert_ldm_unet_checkpoint,
        convert_ldm_vae_checkpoint,
    )

    widths = (8, 16, 24)[:levels]
    unet = diffusers.UNet2DConditionModel(
        down_block_types=("CrossAttnDownBlock2D", *["DownBlock2D"] * (levels - 1)),
        up_block_types=(*["UpBlock2D"] * (levels - 1), "CrossAttnUpBlock2D"),
        block_out_channels=widths, layers_per_block=layers, norm_num_groups=4,
        attention_head_dim=4, cross_attention_dim=8,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=widths, layers_per_block=layers, norm_num_groups=4,
    )  # fmt: skip
    file = to_single_file(unet, vae, stand_in(SimpleNamespace(config=None), {}))
    for model, read in ((unet, convert_ldm_unet_checkpoint), (vae, convert_ldm_vae_checkpoint)):
        again = read(dict(file), dict(model.config))
        expected = model.state_dict()
        assert again.keys() == expected.keys()
        assert {name for name in again if not torch.equal(again[name], expected[name])} == set()


def test_text_weights_may_have_their_former_prefix(pipeline: Any) -> None:
    unet, vae, text = parts_of(pipeline)
    prefixed = {f"text_model.{name}": value for name, value in text.state_dict().items()}
    former = to_single_file(unet, vae, stand_in(text, prefixed))
    assert former.keys() == to_single_file(unet, vae, text).keys()


def test_weights_without_a_name_are_refused(pipeline: Any) -> None:
    unet, vae, text = parts_of(pipeline)
    state = {**unet.state_dict(), "conv_in.lora_A.subject.weight": torch.ones(1)}
    state["conv_in.base_layer.weight"] = state.pop("conv_in.weight")
    with pytest.raises(ValueError, match="without an original name") as raised:
        to_single_file(stand_in(unet, state), vae, text)
    assert "conv_in.lora_A.subject.weight" in str(raised.value)
    assert "conv_in.base_layer.weight" in str(raised.value)


def test_two_weights_of_one_name_are_refused(pipeline: Any) -> None:
    unet, vae, text = parts_of(pipeline)
    state = copy.copy(text.state_dict())
    state["text_model.final_layer_norm.bias"] = state["final_layer_norm.bias"]
    with pytest.raises(ValueError, match=r"of their own: final_layer_norm\.bias, text_model\.fin"):
        to_single_file(unet, vae, stand_in(text, state))
