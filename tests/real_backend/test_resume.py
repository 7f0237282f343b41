"""A training that was broken off goes on as if it had not been."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from astria_emulator import claim
from astria_real_backend.training import checkpoint
from astria_real_backend.training.train import Stopped
from astria_real_backend.training.tuning import Outcome

STEPS, BREAK = 8, 5  # checkpoints are kept every 3 steps


class BreaksOff:
    """A report that asks to stop at a step, or raises as a process that is killed would."""

    def __init__(self, step: int, error: type[Exception] | None = None):
        self._step, self._error = step, error

    def __call__(self, progress: Mapping[str, Any]) -> bool:
        at_step = progress.get("phase") == "training" and progress["step"] == self._step
        if at_step and self._error:
            raise self._error
        return not at_step


class Killed(Exception):
    """In place of a signal that no process survives."""


def tensors(outcome: Outcome) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for file in outcome.files:
        found |= load_file(file)
    return found


def difference(one: Outcome, other: Outcome) -> float:
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    return max((first[name].float() - second[name].float()).abs().max().item() for name in first)


@pytest.fixture
def both(run: Callable[..., Outcome], tmp_path: Path) -> Callable[..., tuple[Outcome, Outcome]]:
    """One training straight through, and one that was broken off."""

    def both(
        method: str, expected: type[Exception], error: type[Exception] | None
    ) -> tuple[Outcome, Outcome]:
        same = {"steps": STEPS, "checkpoint_every": 3, "prior_pictures": 4, "prior_steps": 2}
        folders = [tmp_path / name for name in ("straight", "broken")]
        for folder in folders:
            folder.mkdir()
        straight = run(method, folder=folders[0], **same)
        with pytest.raises(expected):
            run(method, folder=folders[1], report=BreaksOff(BREAK, error), **same)
        return straight, run(method, folder=folders[1], **same)

    return both


@pytest.mark.parametrize("method", ["lora", "pti", "checkpoint"])
def test_resumed_training_equals_a_straight_one_bit_for_bit(
    both: Callable[..., tuple[Outcome, Outcome]], method: str
) -> None:
    straight, resumed = both(method, Killed, Killed)
    assert (straight.report["resumed_at"], resumed.report["resumed_at"]) == (0, 3)
    assert difference(straight, resumed) == 0.0
    assert straight.report["losses"] == resumed.report["losses"]


def test_training_that_was_asked_to_stop_goes_on_from_its_checkpoint(
    both: Callable[..., tuple[Outcome, Outcome]],
) -> None:
    straight, resumed = both("lora", Stopped, None)
    assert resumed.report["resumed_at"] == 3
    assert difference(straight, resumed) == 0.0


def test_without_the_optimisers_state_it_would_differ(
    both: Callable[..., tuple[Outcome, Outcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: this is what it looks for."""
    monkeypatch.setattr(checkpoint, "MOMENTS", ("nothing",))
    straight, resumed = both("lora", Killed, Killed)
    assert resumed.report["resumed_at"] == 3
    assert difference(straight, resumed) > 0.0


def test_checkpoint_of_another_training_is_not_gone_on_from(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        run("lora", steps=STEPS, checkpoint_every=3, report=BreaksOff(BREAK, Killed))
    assert (tmp_path / checkpoint.NAME).exists()
    other = run("lora", "teal", steps=STEPS, checkpoint_every=3)
    assert other.report["resumed_at"] == 0


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b'\x10\0\0\0\0\0\0\0{"a":1}'])
def test_broken_checkpoint_is_begun_anew(
    run: Callable[..., Outcome], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / checkpoint.NAME).write_bytes(content)
    assert run("lora", steps=1).report["resumed_at"] == 0


def test_checkpoint_that_cannot_be_written_leaves_the_former_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk."""
    value = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([value])
    parameters = {"a": value}
    about = {"digest": "d", "step": 1, "losses": [1.0], "updates": {"a": 0.0}}
    claim(tmp_path, "")
    checkpoint.save(tmp_path, parameters, optimizer, about)

    def full(*args: Any, **more: Any) -> None:
        Path(args[1]).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="could not be written"):
        checkpoint.save(tmp_path, parameters, optimizer, {**about, "step": 2})
    assert [path.name for path in tmp_path.glob("[!.]*")] == [checkpoint.NAME]
    kept = checkpoint.load(tmp_path, "d", parameters, optimizer)
    assert kept is not None
    assert kept["step"] == 1


def test_same_seed_gives_the_same_weights_and_another_does_not(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        made.append(run("lora", folder=tmp_path / name, steps=3, seed=seed))
    assert difference(made[0], made[1]) == 0.0
    assert difference(made[0], made[2]) > 0.0
