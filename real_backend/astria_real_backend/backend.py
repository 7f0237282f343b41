"""RealBackend: the emulator's Backend protocol, answered by an executor of training processes."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from astria_emulator import (
    Artefact,
    BackendError,
    Cancelled,
    Closing,
    Config,
    DiskUnavailable,
    GenerateJob,
    MockBackend,
    Trained,
    TrainJob,
    WorkLost,
    disk_problem,
)
from astria_real_backend.config import METHODS, as_plain
from astria_real_backend.server_side import translation
from astria_real_backend.server_side.catalog import Catalogue
from astria_real_backend.server_side.folders import Folders
from astria_real_backend.server_side.settings import read_settings
from astria_real_backend.server_side.speeds import Speeds
from astria_real_backend.training.branches import BRANCHES
from astria_real_backend.workers.executor import (
    Done,
    Executor,
    Failed,
    Lost,
    Progress,
    Stopped,
    Task,
    Worker,
)
from astria_real_backend.workers.local import LocalExecutor

log = logging.getLogger(__name__)

# Keeps progress such as {"phase": "training", "step": 10}; answers whether to go on.
Report = Callable[[Mapping[str, Any]], bool]

POLL_SECONDS = 0.25
REPORT_SECONDS = 0.5  # between two writes of progress to the table of jobs
LOG_SECONDS = 10.0
LOGGED = ("step", "steps", "loss", "images_per_second", "seconds_left", "memory_mb")
PROMPT_SHARE = 0.25  # of a training's time limit


class RealBackend:
    """Trains and draws with the families of `BRANCHES`; the mock answers for the others."""

    name = "real"
    pretends = False

    def __init__(self, config: Config, executor: Executor | None = None):
        self.settings = read_settings(config.backend_options)
        models = Path(self.settings.models) if self.settings.models else None
        self.catalogue = Catalogue.read(models, toy=self.settings.toy)
        self._folders = Folders(self.settings.folder, config.data)
        self._executor = executor or LocalExecutor(
            self.settings.device_names, threads=self.settings.threads
        )
        self.slots, self.tries = self._executor.slots, self.settings.tries
        self._speeds = Speeds(self._folders.speeds)
        self._closing = threading.Event()
        self._megapixels = config.max_megapixels
        self._mock = MockBackend(train_seconds=0, prompt_seconds=0)

    # -- what the server asks ----------------------------------------------------------------------
    def start(self) -> None:
        self._executor.warm()  # first: the process that works starts while bases are looked for
        for base in self.catalogue.bases.values():
            if base.family in BRANCHES and (absence := self.catalogue.absence(base)):
                log.warning("base %d (%s) is absent: %s", base.tune_id, base.title, absence)
        log.info(
            "training on %s; branches %s are served, the others by the mock",
            ", ".join(self.settings.device_names), ", ".join(sorted(BRANCHES)),
        )  # fmt: skip

    def close(self) -> None:
        if self._closing.is_set():
            return
        self._closing.set()
        self._executor.drain()
        self._folders.close()

    def serves(self, branch: str) -> bool:
        return branch in BRANCHES

    def refusal(self, branch: str, base_tune_id: int) -> str | None:
        return translation.absence(self.catalogue, base_tune_id, branch)

    def side(self, base_tune_id: int) -> int | None:
        base = self.catalogue.bases.get(base_tune_id)
        return base.side if base else None

    def forget(self, tune_id: int | None) -> None:
        self._folders.forget(tune_id)

    def sweep(self, is_training: Callable[[int, int], bool]) -> None:
        self._folders.sweep(is_training)

    def train_seconds(self, attributes: Mapping[str, Any]) -> float:
        method = METHODS.get(attributes.get("model_type"), "checkpoint")
        steps = translation.expected_steps(self.catalogue, self.settings, attributes)
        return self._speeds.train_seconds(method, steps)

    def prompt_seconds(self, attributes: Mapping[str, Any]) -> float:
        return self._speeds.prompt_seconds(int(attributes.get("num_images") or 1))

    def inspect(self, image: bytes | str, name: str) -> Mapping[str, Any]:
        """As the mock says: what a picture shows is not looked at yet."""
        return self._mock.inspect(image, name)

    # -- work --------------------------------------------------------------------------------------
    def train(self, job: TrainJob, report: Report) -> Trained:
        with self._worker() as worker:
            config = translation.train_config(
                job, self.catalogue, self.settings, worker.device, self._megapixels
            )
            folder = self._folders.of_tune(job.tune_id, job.uid)
            with self._folders.temporary("pictures") as pictures:
                translation.write_pictures(job, pictures / "all")
                classes = self._folders.classes if config.keeps_classes else folder
                task = Task(
                    kind="train", config=as_plain(config), folder=folder,
                    pictures=pictures / "all", classes=classes,
                )  # fmt: skip
                limit = self.settings.limit_minutes * 60
                done = self._run(worker, task, with_log(f"tune {job.tune_id}", report), limit)
            files = [self._folders.take(file) for file in done.files]
        self._speeds.note_training(config.method, done.report)
        kind = "application/octet-stream"
        return Trained([Artefact(kind, file) for file in files], done.report)

    def generate(self, jobs: Sequence[GenerateJob], report: Report) -> list[list[Artefact]]:
        return [self._draw(job, report) for job in jobs]

    def _draw(self, job: GenerateJob, report: Report) -> list[Artefact]:
        with self._worker() as worker, self._folders.temporary("drawn") as folder:
            began = time.monotonic()
            config, left_out = translation.sample_config(
                job, self.catalogue, self.settings, worker.device
            )
            if left_out:
                log.warning("prompt %d: without %s", job.prompt_id, ", ".join(left_out))
            task = Task(
                kind="generate", config=as_plain(config), folder=folder, pictures=folder,
                classes=folder,
            )  # fmt: skip
            limit = self.settings.limit_minutes * 60 * PROMPT_SHARE
            done = self._run(worker, task, with_log(f"prompt {job.prompt_id}", report), limit)
            self._speeds.note_prompt(job.num_images, time.monotonic() - began)
            return [Artefact("image/jpeg", file.read_bytes()) for file in done.files]

    @contextmanager
    def _worker(self) -> Iterator[Worker]:
        """A worker for this job alone. An error of the disk loses the work: it is tried again."""
        if self._closing.is_set():
            raise Closing("the server stops")
        worker = self._executor.claim()
        try:
            yield worker
        except OSError as error:
            if problem := disk_problem(error.errno):
                raise DiskUnavailable(problem) from error
            raise WorkLost(f"A file: {error.strerror or type(error).__name__}.") from error
        finally:
            self._executor.release(worker)

    def _run(self, worker: Worker, task: Task, report: Report, limit: float) -> Done:
        """Run a task to its end, and report its progress.

        Raises BackendError, WorkLost, Closing and Cancelled.
        """
        executor, progress = self._executor, dict[str, Any]()
        deadline, next_report = time.monotonic() + limit, 0.0
        has_ended = is_stopping = is_cancelled = False
        executor.start(worker, task)
        try:
            while True:
                event = executor.poll(worker, POLL_SECONDS)
                has_ended = isinstance(event, Done | Failed | Stopped | Lost)
                match event:
                    case Progress(news):
                        is_new = news.get("phase") != progress.get("phase")
                        progress = {**progress, **news}
                        next_report = 0.0 if is_new else next_report
                    case Done() as done:
                        return done
                    case Failed(reason):
                        raise BackendError(reason)
                    case Stopped():
                        raise self._error_for("it was stopped", is_cancelled)
                    case Lost(reason, disk=True) if not is_cancelled:
                        raise DiskUnavailable(reason)
                    case Lost(reason):
                        raise self._error_for(reason, is_cancelled)
                now = time.monotonic()
                if now > deadline:
                    raise BackendError(f"It took longer than {limit / 60:g} minutes.")
                if is_stopping:
                    continue
                if now >= next_report:
                    next_report = now + REPORT_SECONDS
                    is_cancelled = not report(progress)
                if is_cancelled or self._closing.is_set():
                    is_stopping = True
                    executor.cancel(worker)
        finally:
            if not has_ended:  # nobody waits for its result any more
                executor.kill(worker)

    def _error_for(self, reason: str, is_cancelled: bool) -> Exception:
        """Why a task ended without a result."""
        if is_cancelled:
            return Cancelled(reason)
        return Closing("the server stops") if self._closing.is_set() else WorkLost(reason)


def with_log(what: str, report: Report) -> Report:
    """The same report, which also logs each phase, and progress every LOG_SECONDS."""
    last: dict[str, Any] = {"phase": "", "next": 0.0}

    def report_and_log(progress: Mapping[str, Any]) -> bool:
        now, phase = time.monotonic(), progress.get("phase", "")
        if phase and (phase != last["phase"] or now > last["next"]):
            last.update(phase=phase, next=now + LOG_SECONDS)
            known = [f"{name} {progress[name]}" for name in LOGGED if name in progress]
            log.info("%s: %s", what, ", ".join([phase, *known]))
        return report(progress)

    return report_and_log
