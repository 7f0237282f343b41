"""What is predicted, and how an error counts."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Predict = Callable[[Tensor, Tensor], Tensor]  # (noisy latents, times) -> what is predicted


@dataclass(frozen=True)
class Epsilon:
    """The noise is predicted: Ho et al. 2020, arXiv:2006.11239.

    alphas: (T,), the share of the picture's variance that is left after each step of noising.
    snr_gamma: Hang et al. 2023, arXiv:2303.09556; noise_offset: crosslabs.org, 2023-01-30.
    """

    alphas: Tensor
    snr_gamma: float = 5.0
    noise_offset: float = 0.0

    def loss(
        self, predict: Predict, clean: Tensor, weights: Tensor | None, chance: torch.Generator
    ) -> Tensor:
        """The mean error of a batch.

        clean: (B, 4, h, w); weights: (B, 1, h, w) with mean 1, or None for ones everywhere.
        """
        count = len(clean)
        noise = torch.randn(clean.shape, generator=chance)
        if self.noise_offset:
            shift = torch.randn((count, clean.shape[1], 1, 1), generator=chance)
            noise = noise + self.noise_offset * shift
        times = torch.randint(0, len(self.alphas), (count,), generator=chance)
        alphas = self.alphas[times].view(-1, 1, 1, 1)
        noisy = alphas.sqrt() * clean.cpu() + (1 - alphas).sqrt() * noise
        seen = predict(noisy.to(clean.device), times.to(clean.device))
        errors = (seen - noise.to(clean.device)).square()
        if weights is not None:
            errors = errors * weights.to(clean.device)
        snr = self.alphas[times] / (1 - self.alphas[times])
        importance = snr.clamp(max=self.snr_gamma) / snr
        return (errors.mean((1, 2, 3)) * importance.to(clean.device)).mean()
