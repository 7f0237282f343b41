"""One child process for each GPU, or one for the CPU, on this machine."""

import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from astria_real_backend.workers.executor import (
    Done,
    Event,
    Failed,
    Lost,
    Progress,
    Stopped,
    Task,
    Worker,
)

log = logging.getLogger(__name__)

GRACE_SECONDS = 4.0  # for a child that was asked to stop, within the time for all of a stop
COMMAND = (sys.executable, "-P", "-m", "astria_real_backend.workers.child")


class Child:
    """A child process, kept between tasks; one that has ended is replaced for the next task.

    Both ends exchange lines of JSON, each with the number of its task: what a child still says of a
    task that nobody waits for is passed over. It ends by itself as soon as this process does.
    """

    def __init__(self, device: str, threads: int):
        self.device = device
        self._threads = threads
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._deadline: float | None = None
        self._task = 0  # the number of the last one
        self.is_busy = False  # whether that has not ended

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def ensure(self) -> None:
        """Start the process unless it runs."""
        if self._process:
            if self._process.poll() is None:
                return
            self._close_input(self._process)
        environment = {
            **os.environ,
            "HF_HUB_OFFLINE": "1",  # a child never downloads
            "TRANSFORMERS_VERBOSITY": "error",
            "OMP_NUM_THREADS": str(self._threads),
            "TOKENIZERS_PARALLELISM": "false",
        }
        self._process = subprocess.Popen(  # noqa: S603
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )
        self._lines = queue.SimpleQueue()
        assert self._process.stdout  # noqa: S101 - for mypy
        read = threading.Thread(
            target=self._read, args=[self._process.stdout, self._lines], daemon=True
        )
        read.start()

    @staticmethod
    def _read(stream: IO[str], lines: "queue.SimpleQueue[str | None]") -> None:
        try:
            for line in stream:
                lines.put(line)
        finally:
            stream.close()
            lines.put(None)

    def send(self, message: dict[str, Any]) -> None:
        """Send a line; `poll` finds out that a child has gone."""
        try:
            assert self._process is not None  # noqa: S101 - for mypy
            stream = self._process.stdin
            assert stream is not None  # noqa: S101 - for mypy
            stream.write(json.dumps(message) + "\n")
            stream.flush()
        except (OSError, ValueError):  # the latter of a stream that is closed
            log.debug("the child on %s reads no more", self.device)

    def start(self, task: Task) -> None:
        """Begin a task. One that has not ended is ended: nobody waits for it any more."""
        if self.is_busy:
            self.kill()
        self.ensure()
        self._deadline = None
        self._task += 1
        self.is_busy = True
        self.send({
            "task": self._task, "do": task.kind, "config": dict(task.config),
            "folder": str(task.folder), "pictures": str(task.pictures),
            "classes": str(task.classes),
        })  # fmt: skip

    def poll(self, seconds: float) -> Event | None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            self.kill()
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            return None
        if line is None:
            return self._lost()
        try:
            message = json.loads(line)
            event = read_event(message)
        except ValueError:  # killed in the middle of a line
            self.kill()
            return self._lost()
        if message.get("task") != self._task:
            return None
        self.is_busy = isinstance(event, Progress)
        return event

    def cancel(self) -> None:
        self._deadline = time.monotonic() + GRACE_SECONDS
        self.send({"task": self._task, "do": "cancel"})

    def kill(self) -> None:
        """End the process; what it still says is not read."""
        self.is_busy = False
        if self._process:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """End it: the process ends when its input does."""
        process = self._process
        if process is None:
            return
        self._close_input(process)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @staticmethod
    def _close_input(process: "subprocess.Popen[str]") -> None:
        with suppress(OSError):  # of a line that a process which is gone has not read
            if process.stdin:
                process.stdin.close()

    def _lost(self) -> Lost:
        self.is_busy = False
        assert self._process  # noqa: S101 - for mypy
        code = self._process.wait()
        cause = f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        hint = ", maybe out of memory" if code == -signal.SIGKILL else ""
        return Lost(f"The process that worked on it ended {cause}{hint}.")


class LocalExecutor:
    """As many children as devices."""

    def __init__(self, devices: tuple[str, ...], *, threads: int):
        self._children = [Child(device, threads) for device in devices]
        self._free: queue.SimpleQueue[Child] = queue.SimpleQueue()
        for child in self._children:
            self._free.put(child)
        self.slots = len(devices)

    def warm(self) -> None:
        for child in self._children:
            child.ensure()

    def claim(self) -> Worker:
        return self._free.get()

    def release(self, worker: Worker) -> None:
        self._free.put(as_child(worker))

    def start(self, worker: Worker, task: Task) -> None:
        as_child(worker).start(task)

    def poll(self, worker: Worker, seconds: float) -> Event | None:
        return as_child(worker).poll(seconds)

    def cancel(self, worker: Worker) -> None:
        as_child(worker).cancel()

    def kill(self, worker: Worker) -> None:
        as_child(worker).kill()

    def drain(self) -> None:
        """Wait up to GRACE_SECONDS for work that was asked to stop, and end all children."""
        deadline = time.monotonic() + GRACE_SECONDS
        with suppress(queue.Empty):
            for _ in self._children:
                self._free.get(timeout=max(0.0, deadline - time.monotonic()))
        for child in self._children:
            child.close()


def as_child(worker: Worker) -> Child:
    assert isinstance(worker, Child)  # noqa: S101 - for mypy: only ours are claimed here
    return worker


def read_event(message: dict[str, Any]) -> Event:
    """A line of the child's as an event."""
    match message:
        case {"progress": values}:
            return Progress(values)
        case {"done": report, "files": files}:
            return Done(tuple(map(Path, files)), report)
        case {"failed": reason}:
            return Failed(reason)
        case {"trouble": reason}:
            return Lost(reason, disk=bool(message.get("disk")))
        case {"stopped": _}:
            return Stopped()
    raise ValueError(f"a child said {message}")
