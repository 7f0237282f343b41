"""What trains of a base: all of it, low-rank adapters on it, or new tokens with adapters.

Adapters: Hu et al. 2021, arXiv:2106.09685, by peft. New tokens: Gal et al. 2022, arXiv:2208.01618;
with adapters, as in cloneofsimo/lora and cog-sdxl, that is pivotal tuning.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from torch import Tensor, nn

from astria_real_backend.config import Adapter, TrainConfig
from astria_real_backend.training.branches.branch import Branch
from astria_real_backend.training.branches.token_embeddings import AddedTokens, token_names

SUBJECT = "subject"  # the adapter that trains


@dataclass(frozen=True)
class Group:
    """Parameters of one learning rate; from the share `until` of the steps on they are frozen."""

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
    """Everything that trains, by name. `prompt` names the subject, with its new tokens if any.

    trains_base: whether the base's own weights change.
    """

    prompt: str
    groups: dict[str, Group] = field(default_factory=dict)
    tokens: AddedTokens | None = None
    trains_base: bool = False

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        groups = self.groups.values()
        return {name: value for group in groups for name, value in group.parameters.items()}

    @property
    def trains_text(self) -> bool:
        return "text" in self.groups or "tokens" in self.groups

    def after_step(self) -> None:
        if self.tokens is not None:
            self.tokens.after_step()


def make_trainable(branch: Branch, config: TrainConfig) -> Trainable:
    """Prepare a base for a method, from nothing or from a former adapter."""
    torch.manual_seed(config.seed)  # of the adapters' first weights
    former = [Path(file) for file in config.former]
    if config.method == "checkpoint":
        return _train_base(branch, config, former)
    trainable = Trainable(config.prompt)
    if config.recipe.tokens:
        _add_tokens(branch, config, former, trainable)
    _add_adapters(branch, config, former, trainable)
    return trainable


def _train_base(branch: Branch, config: TrainConfig, former: list[Path]) -> Trainable:
    recipe = config.recipe
    if former:
        branch.load_adapter(former[0], SUBJECT)
        branch.merge_adapter(SUBJECT)
    trainable = Trainable(config.prompt, trains_base=True)
    networks = {branch.denoiser_name: branch.networks[branch.denoiser_name]}
    trainable.groups["denoiser"] = _group(networks, recipe.unet_rate, recipe.weight_decay)
    if recipe.text_rate:
        text = _group(branch.text_encoders, recipe.text_rate, recipe.weight_decay)
        trainable.groups["text"] = text
    return trainable


def _group(networks: Mapping[str, Any], rate: float, weight_decay: float) -> Group:
    """All weights of some networks."""
    for network in networks.values():
        network.requires_grad_(True)
    return Group(rate, _trained(networks), weight_decay)


def _add_tokens(
    branch: Branch, config: TrainConfig, former: list[Path], trainable: Trainable
) -> None:
    """New tokens start from the class's embeddings, or from those of a former tune."""
    recipe = config.recipe
    if len(former) > 1:
        rows = branch.read_token_embeddings(former[1])
    else:
        rows = branch.class_embeddings(config.subject, recipe.tokens)
    # A user's token may hold anything, and a tokenizer takes names of tokens literally.
    plain = re.sub(r"\W+", "", config.token) or "subject"
    names = token_names(f"<{plain}>", _count(rows))
    trainable.tokens = branch.add_tokens(names, rows)
    trainable.prompt = f"photo of {' '.join(names)} {config.subject}"
    parameters = {f"tokens.{name}": row for name, row in trainable.tokens.parameters.items()}
    trainable.groups["tokens"] = Group(recipe.token_rate, parameters, until=recipe.token_share)


def _add_adapters(
    branch: Branch, config: TrainConfig, former: list[Path], trainable: Trainable
) -> None:
    recipe = config.recipe
    if former:
        branch.load_adapter(former[0], SUBJECT)
    targets = branch.adapter_targets(convolutions=recipe.convolutions)
    networks = {branch.denoiser_name: branch.networks[branch.denoiser_name]}
    groups = {"denoiser": (networks, recipe.unet_rate)}
    if recipe.text_rate:
        groups["text"] = (dict(branch.text_encoders), recipe.text_rate)
    for group, (members, rate) in groups.items():
        for name, network in members.items():
            if SUBJECT not in (getattr(network, "peft_config", None) or {}):
                # Alpha is the rank: files then need to say neither.
                lora = LoraConfig(
                    r=recipe.rank, lora_alpha=recipe.rank, target_modules=[*targets[name]]
                )
                network.add_adapter(lora, SUBJECT)
            for key, value in network.named_parameters():
                value.requires_grad_("lora_" in key)
        trainable.groups[group] = Group(rate, _trained(members), recipe.weight_decay)


def _trained(networks: Mapping[str, Any]) -> dict[str, nn.Parameter]:
    return {
        f"{network}.{name}": value
        for network, module in networks.items()
        for name, value in module.named_parameters()
        if value.requires_grad
    }


def _count(rows: Mapping[str, Tensor]) -> int:
    """How many tokens there are embeddings of."""
    return len(next(iter(rows.values())))


def apply_adapters(branch: Branch, adapters: Sequence[Adapter], text: str) -> str:
    """Put tunes on a base, each with its scale; returns the text with their new tokens.

    A tune's own word, such as `sks`, stands for the tokens that it has learned.
    """
    names: list[str] = []
    learned: list[Mapping[str, Tensor]] = []
    for adapter in adapters:
        branch.load_adapter(Path(adapter.files[0]), f"tune_{adapter.tune_id}")
        if len(adapter.files) > 1:
            rows = branch.read_token_embeddings(Path(adapter.files[1]))
            own = token_names(f"<tune{adapter.tune_id}>", _count(rows))
            names, learned = [*names, *own], [*learned, rows]
            if adapter.token:
                word = re.compile(rf"(?<!\w){re.escape(adapter.token)}(?!\w)")
                text = word.sub(" ".join(own), text)
    if names:
        encoders = learned[0].keys()
        joined = {name: torch.cat([rows[name] for rows in learned]) for name in encoders}
        branch.add_tokens(names, joined)
    if adapters:
        branch.scale_adapters({f"tune_{one.tune_id}": one.scale for one in adapters})
    return text
