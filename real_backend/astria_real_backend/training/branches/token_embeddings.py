"""Embeddings of new tokens beside a vocabulary's: Gal et al. 2022, arXiv:2208.01618."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn


class TokenEmbeddings(nn.Module):
    """Token embeddings: the vocabulary's, which stay as they are, and rows of new tokens."""

    def __init__(self, vocabulary: nn.Embedding, rows: Tensor):
        """rows: (n, width), of tokens that follow the vocabulary's ids."""
        super().__init__()
        self.vocabulary = [vocabulary]  # within a list: not a part of this module
        self.rows = nn.Parameter(rows.clone())

    @property
    def weight(self) -> Tensor:
        """The vocabulary's embeddings, (size, width): libraries ask for their dtype and device."""
        return self.vocabulary[0].weight

    @torch.no_grad()
    def rescale(self) -> None:
        """Give rows the vocabulary's mean norm: trained freely they grow far beyond it."""
        mean_norm = self.weight.norm(dim=1).mean()
        norms = self.rows.norm(dim=1, keepdim=True)
        self.rows.mul_(mean_norm / norms)

    def forward(self, ids: Tensor) -> Tensor:
        """ids: (B, tokens); returns (B, tokens, width)."""
        vocabulary = self.vocabulary[0]
        size = vocabulary.num_embeddings
        known = vocabulary(ids.clamp(max=size - 1))
        new = self.rows[(ids - size).clamp(min=0)]
        return torch.where((ids >= size).unsqueeze(-1), new, known)


@dataclass(frozen=True)
class AddedTokens:
    """New tokens of a base: their names, and their embeddings by text encoder."""

    names: tuple[str, ...]
    embeddings: Mapping[str, TokenEmbeddings]

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """What trains, by the names that checkpoints keep: `rows`, `rows_2` of `text_encoder_2`."""
        return {
            f"rows{name.removeprefix('text_encoder')}": embeddings.rows
            for name, embeddings in self.embeddings.items()
        }

    def after_step(self) -> None:
        """Rescale the rows that still train."""
        for embeddings in self.embeddings.values():
            if embeddings.rows.requires_grad:
                embeddings.rescale()


def token_names(name: str, count: int) -> tuple[str, ...]:
    """What diffusers calls the tokens of one placeholder: `<sks>`, `<sks>_1` ..."""
    return (name, *(f"{name}_{at}" for at in range(1, count)))
