"""What a denoiser predicts, and how its error counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

# (noisy latents (B, C, h, w), timesteps (B,)) -> prediction (B, C, h, w)
Predict = Callable[[Tensor, Tensor], Tensor]


class Objective(Protocol):
    """A loss on latents: it adds noise to them, and knows what is to be predicted."""

    def loss(
        self, predict: Predict, latents: Tensor, weights: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """The mean error of a batch, a scalar.

        latents: (B, C, h, w); weights: (B, 1, h, w) with mean 1, or None for ones everywhere.
        generator: of the noise and the timesteps, on the CPU, so that they are the same everywhere.
        """
        ...


@dataclass(frozen=True)
class Epsilon:
    """The noise is predicted: Ho et al. 2020, arXiv:2006.11239.

    alphas_cumprod: (T,), the share of the signal's variance that is left after each timestep.
    snr_gamma: Hang et al. 2023, arXiv:2303.09556; noise_offset: crosslabs.org, 2023-01-30.
    """

    alphas_cumprod: Tensor
    snr_gamma: float = 5.0
    noise_offset: float = 0.0

    def loss(
        self, predict: Predict, latents: Tensor, weights: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """The mean error of a batch; timesteps are whole numbers from 0 to T - 1."""
        count = len(latents)
        noise = torch.randn(latents.shape, generator=generator)
        if self.noise_offset:
            offset = torch.randn((count, latents.shape[1], 1, 1), generator=generator)
            noise = noise + self.noise_offset * offset
        timesteps = torch.randint(0, len(self.alphas_cumprod), (count,), generator=generator)
        alphas = self.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
        noisy = alphas.sqrt() * latents.cpu() + (1 - alphas).sqrt() * noise
        prediction = predict(noisy.to(latents.device), timesteps.to(latents.device))
        errors = (prediction - noise.to(latents.device)).square()
        if weights is not None:
            errors = errors * weights.to(latents.device)
        snr = self.alphas_cumprod[timesteps] / (1 - self.alphas_cumprod[timesteps])
        snr_weights = snr.clamp(max=self.snr_gamma) / snr
        return (errors.mean((1, 2, 3)) * snr_weights.to(latents.device)).mean()
