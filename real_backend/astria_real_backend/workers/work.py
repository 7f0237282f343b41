"""Do a task, and say how it went: the child's side of a worker."""

import json
import logging
import re
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError

from astria_emulator import disk_problem
from astria_real_backend.config import NAMES, read_sample, read_train
from astria_real_backend.training.branches.libraries import silence_libraries
from astria_real_backend.training.export import NotTheSame
from astria_real_backend.training.photos import Source
from astria_real_backend.training.sample import sample
from astria_real_backend.training.train import Report, Stopped
from astria_real_backend.training.tuning import BranchCache, Unusable, tune
from astria_real_backend.workers.executor import Task

log = logging.getLogger(__name__)

JPEG_QUALITY = 95


class Work:
    """What a process does, with the base that it used last at hand."""

    def __init__(self) -> None:
        silence_libraries()
        self._cache = BranchCache()

    def do(self, task: Task, report: Report) -> dict[str, Any]:
        """The message that ends a task."""
        try:
            return self._train(task, report) if task.kind == "train" else self._draw(task, report)
        except Stopped:
            return {"stopped": True}
        except Unusable as error:
            return {"failed": str(error)}
        except (MemoryError, torch.cuda.OutOfMemoryError) as error:
            self._cache = BranchCache()
            log.warning("out of memory", exc_info=error)
            return {"trouble": "The device has too little memory for it."}
        except OSError as error:
            log.warning("a file", exc_info=error)
            if problem := disk_problem(error.errno):
                return {"trouble": problem, "disk": True}
            return {"trouble": f"A file: {error.strerror or type(error).__name__}."}
        except SafetensorError as error:
            log.warning("a file", exc_info=error)
            number = re.search(r"os error (\d+)", str(error))  # it wraps the system's errors
            if problem := disk_problem(int(number[1]) if number else None):
                return {"trouble": problem, "disk": True}
            return {"trouble": "A file of weights could not be read or written."}
        except NotTheSame as error:
            return {"trouble": f"What was saved is not what was trained: {error}."}
        except Exception as error:
            self._cache = BranchCache()  # whatever state it is in
            log.exception("a task")
            return {"trouble": f"It broke off: {type(error).__name__}."}

    def _train(self, task: Task, report: Report) -> dict[str, Any]:
        config = read_train(task.config)
        names = json.loads((task.pictures / NAMES).read_text())
        sources = [
            Source(name, (task.pictures / str(at)).read_bytes()) for at, name in enumerate(names)
        ]
        outcome = tune(
            self._cache, config, sources,
            folder=task.folder, classes_folder=task.classes, report=report,
        )  # fmt: skip
        return {"done": dict(outcome.report), "files": [str(file) for file in outcome.files]}

    def _draw(self, task: Task, report: Report) -> dict[str, Any]:
        config = read_sample(task.config)
        report({"phase": "loading"})
        branch = self._cache.load(config.base, config.device, config.threads)
        files = []
        for at, picture in enumerate(sample(branch, config, report)):
            files.append(task.folder / f"{at}.jpg")
            if config.output_size:
                picture = picture.resize(config.output_size, Image.Resampling.LANCZOS)
            picture.save(files[-1], quality=JPEG_QUALITY, subsampling=0)
        return {"done": {}, "files": [str(file) for file in files]}
