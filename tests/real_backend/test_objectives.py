"""The objective: what is predicted, and how errors are weighed."""

import pytest
import torch

from astria_real_backend.training.objectives import Epsilon

ALPHAS = torch.linspace(0.999, 0.005, 1000)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def oracle(latents: torch.Tensor, off: float = 0.0):  # type: ignore[no-untyped-def]
    """Predicts the very noise that was added, or misses it by `off`."""

    def predict(noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        alphas = ALPHAS[timesteps].view(-1, 1, 1, 1)
        return (noisy - alphas.sqrt() * latents) / (1 - alphas).sqrt() + off

    return predict


@pytest.mark.parametrize("offset", [0.0, 0.1])
def test_loss_is_zero_when_the_noise_is_predicted(offset: float) -> None:
    latents = torch.randn(8, 4, 6, 6, generator=generator(1))
    objective = Epsilon(ALPHAS, noise_offset=offset)
    assert objective.loss(oracle(latents), latents, None, generator()).item() < 1e-6


def test_errors_of_low_noise_count_less() -> None:
    """min-SNR: an error of 1 counts as gamma / SNR where the SNR is above gamma, else as 1."""
    latents = torch.zeros(1, 4, 2, 2)
    for seed in range(20):
        timestep = int(torch.randint(0, 1000, (1,), generator=after_noise(seed, latents)))
        snr = ALPHAS[timestep] / (1 - ALPHAS[timestep])
        loss = Epsilon(ALPHAS).loss(oracle(latents, 1.0), latents, None, generator(seed))
        assert loss.item() == pytest.approx(min(1.0, (5.0 / snr).item()), rel=1e-3)


def after_noise(seed: int, latents: torch.Tensor) -> torch.Generator:
    """The generator as it is after the noise."""
    used = generator(seed)
    torch.randn(latents.shape, generator=used)
    return used


def test_places_without_weight_have_no_gradient() -> None:
    latents = torch.randn(2, 4, 4, 4, generator=generator(1))
    guess = torch.zeros(2, 4, 4, 4, requires_grad=True)
    weights = torch.zeros(2, 1, 4, 4)
    weights[:, :, :2] = 2.0
    Epsilon(ALPHAS).loss(lambda noisy, timesteps: guess, latents, weights, generator()).backward()
    assert guess.grad is not None
    assert guess.grad[:, :, 2:].abs().max() == 0
    assert guess.grad[:, :, :2].abs().min() > 0


def test_even_weights_change_nothing() -> None:
    latents = torch.randn(2, 4, 4, 4, generator=generator(1))
    losses = [
        Epsilon(ALPHAS).loss(oracle(latents, 0.5), latents, weights, generator()).item()
        for weights in (None, torch.ones(2, 1, 4, 4))
    ]
    assert losses[0] == pytest.approx(losses[1])
