"""What trains of a base: all of it, low-rank adapters upon it, or new words with adapters.

Adapters: Hu et al. 2021, arXiv:2106.09685, by peft. New words: Gal et al. 2022, arXiv:2208.01618;
with adapters, as in cloneofsimo/lora and cog-sdxl, that is pivotal tuning.
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors.torch import load_file
from torch import Tensor, nn

from astria_real_backend.config import Adapter, TrainConfig
from astria_real_backend.training.branches.sd15 import (
    NewWords,
    StableDiffusion15,
    adapter_layers,
    names_of_words,
    read_words,
)

SUBJECT = "subject"  # the adapter that trains


@dataclass(frozen=True)
class Group:
    """Parameters of one rate; from the share `until` of the steps on they stay as they are."""

    rate: float
    parameters: Mapping[str, nn.Parameter]
    weight_decay: float = 0.0
    until: float = 1.0

    def freeze(self) -> None:
        for value in self.parameters.values():
            value.requires_grad_(False)
            value.grad = None


@dataclass
class Trainable:
    """Everything that trains, by name. `prompt` names the subject, with its new words if any."""

    prompt: str
    groups: dict[str, Group] = field(default_factory=dict)
    words: NewWords | None = None
    word_names: tuple[str, ...] = ()
    spoils_base: bool = False  # whether the base's own weights change

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        groups = self.groups.values()
        return {name: value for group in groups for name, value in group.parameters.items()}

    @property
    def trains_text(self) -> bool:
        return "text" in self.groups or "tokens" in self.groups

    def after_step(self) -> None:
        if self.words is not None and self.words.rows.requires_grad:
            self.words.retract()


def make_trainable(branch: StableDiffusion15, config: TrainConfig) -> Trainable:
    """Ready a base for a method, from nothing or from a former adapter."""
    torch.manual_seed(config.seed)  # of the adapters' first weights
    files = [Path(file) for file in config.former]
    if config.method == "checkpoint":
        return _all_of_it(branch, config, files)
    made = Trainable(config.prompt)
    if config.recipe.tokens:
        _add_words(branch, config, files, made)
    _add_adapters(branch, config, files, made)
    return made


def _all_of_it(branch: StableDiffusion15, config: TrainConfig, former: list[Path]) -> Trainable:
    recipe = config.recipe
    if former:
        load_adapter(branch, former[0], SUBJECT)
        branch.pipeline.fuse_lora(adapter_names=[SUBJECT])
        branch.pipeline.unload_lora_weights()
    branch.unet.requires_grad_(True)
    made = Trainable(config.prompt, spoils_base=True)
    unet = _trained("unet", branch.unet)
    made.groups["unet"] = Group(recipe.unet_rate, unet, recipe.weight_decay)
    if recipe.text_rate:
        branch.text_encoder.requires_grad_(True)
        text = _trained("text_encoder", branch.text_encoder)
        made.groups["text"] = Group(recipe.text_rate, text, recipe.weight_decay)
    return made


def _add_words(
    branch: StableDiffusion15, config: TrainConfig, former: list[Path], made: Trainable
) -> None:
    """New words start from the class's own, or from those of a former tune."""
    recipe = config.recipe
    if len(former) > 1:
        rows = read_words(former[1])
    else:
        known = branch.text_encoder.get_input_embeddings()
        tokenizer = branch.pipeline.tokenizer
        ids = tokenizer(config.subject, add_special_tokens=False).input_ids or [0]
        rows = known.weight[ids].mean(0, keepdim=True).repeat(recipe.tokens, 1).detach()
    # A user's word may hold anything, and a tokenizer takes what it is told word for word.
    plain = re.sub(r"\W+", "", config.token) or "subject"
    made.word_names = names_of_words(f"<{plain}>", len(rows))
    made.words = branch.add_words(made.word_names, rows)
    made.prompt = f"photo of {' '.join(made.word_names)} {config.subject}"
    token_group = {"tokens.rows": made.words.rows}
    made.groups["tokens"] = Group(recipe.token_rate, token_group, until=recipe.token_share)


def _add_adapters(
    branch: StableDiffusion15, config: TrainConfig, former: list[Path], made: Trainable
) -> None:
    recipe = config.recipe
    if former:
        load_adapter(branch, former[0], SUBJECT)
    layers = adapter_layers(branch, convolutions=recipe.convolutions)
    parts = {"unet": (branch.unet, layers, recipe.unet_rate)}
    if recipe.text_rate:
        parts["text"] = (branch.text_encoder, list(branch.text_layers), recipe.text_rate)
    for name, (part, targets, rate) in parts.items():
        if SUBJECT not in (getattr(part, "peft_config", None) or {}):
            # Alpha is the rank: files then need to say neither.
            lora = LoraConfig(r=recipe.rank, lora_alpha=recipe.rank, target_modules=targets)
            part.add_adapter(lora, SUBJECT)
        for key, value in part.named_parameters():
            value.requires_grad_("lora_" in key)
        trained = _trained("unet" if name == "unet" else "text_encoder", part)
        made.groups[name] = Group(rate, trained, recipe.weight_decay)


def _trained(part: str, module: nn.Module) -> dict[str, nn.Parameter]:
    return {
        f"{part}.{name}": value for name, value in module.named_parameters() if value.requires_grad
    }


def load_adapter(branch: StableDiffusion15, file: Path, name: str) -> None:
    """Put an adapter's file upon a base.

    Raises ValueError where nothing of it fits.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of keys that a part does not have
        # Read here: diffusers goes by a file's name, and would unpickle one without an ending.
        branch.pipeline.load_lora_weights(load_file(file), adapter_name=name)


def put_on(branch: StableDiffusion15, adapters: Sequence[Adapter], text: str) -> str:
    """Put tunes upon a base, each with its scale; returns the text with their new words.

    A tune's own word, such as `sks`, stands for the words that it has learned.
    """
    names: list[str] = []
    rows: list[Tensor] = []
    for adapter in adapters:
        load_adapter(branch, Path(adapter.files[0]), f"tune_{adapter.tune_id}")
        if len(adapter.files) > 1:
            learned = read_words(Path(adapter.files[1]))
            own = names_of_words(f"<tune{adapter.tune_id}>", len(learned))
            names, rows = [*names, *own], [*rows, learned]
            if adapter.token:
                word = re.compile(rf"(?<!\w){re.escape(adapter.token)}(?!\w)")
                text = word.sub(" ".join(own), text)
    if names:
        branch.add_words(names, torch.cat(rows))
    if adapters:
        branch.pipeline.set_adapters(
            [f"tune_{adapter.tune_id}" for adapter in adapters],
            [adapter.scale for adapter in adapters],
        )
    return text
