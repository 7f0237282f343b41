"""What a task can run into in the process that does it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from astria_real_backend.config import BaseFiles
from astria_real_backend.training.train import Stopped
from astria_real_backend.training.tuning import BranchCache
from astria_real_backend.workers.executor import Task
from astria_real_backend.workers.work import Work


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), {"trouble": "The device has too little memory for it."}),
        (
            OSError(28, "No space left on device"),
            {"trouble": "The disk is full.", "disk": True},
        ),
        (
            SafetensorError("Error while serializing: I/O error: Read-only (os error 30)"),
            {"trouble": "The disk is read-only.", "disk": True},
        ),
        (OSError(5, "Input/output error"), {"trouble": "A file: Input/output error."}),
        (Stopped(), {"stopped": True}),
        (ZeroDivisionError("a secret"), {"trouble": "It broke off: ZeroDivisionError."}),
    ],
)
def test_trouble_is_told_and_can_be_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, expected: dict[str, Any]
) -> None:
    def fails(*args: Any, **more: Any) -> None:
        raise error

    monkeypatch.setattr(Work, "_train", fails)
    task = Task(kind="train", config={}, folder=tmp_path, pictures=tmp_path, classes=tmp_path)
    assert Work().do(task, lambda progress: True) == expected


def test_spoilt_base_is_read_again(toy: BaseFiles) -> None:
    loaded = BranchCache()
    branch = loaded.load(toy, "cpu", 2)
    loaded.release(branch, has_changed=False)
    assert loaded.load(toy, "cpu", 2) is branch
    with torch.no_grad():
        next(branch.unet.parameters()).add_(1.0)
    loaded.release(branch, has_changed=False)  # nobody said so, and it shows
    assert loaded.load(toy, "cpu", 2) is not branch
    assert loaded.load(replace(toy, side=96), "cpu", 2).base.side == 96
