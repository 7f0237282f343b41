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

GRACE_SECONDS = 10.0  # for a child that was asked to stop
COMMAND = (sys.executable, "-P", "-m", "astria_real_backend.workers.child")


class Child:
    """A child process, which lives until it is ended or falls: then the next task gets a new one.

    It and this end talk in lines of JSON. It ends by itself as soon as this process does.
    """

    def __init__(self, device: str, threads: int):
        self.device = device
        self._threads = threads
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._deadline: float | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def ensure(self) -> None:
        """Start the process unless it runs."""
        if self._process:
            if self._process.poll() is None:
                return
            self._hang_up(self._process)
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

    def tell(self, message: dict[str, Any]) -> None:
        """Send a line; a child that has gone is found by `poll`."""
        try:
            assert self._process is not None  # noqa: S101 - for mypy
            stream = self._process.stdin
            assert stream is not None  # noqa: S101 - for mypy
            stream.write(json.dumps(message) + "\n")
            stream.flush()
        except (OSError, ValueError):  # the latter of a stream that is closed
            log.debug("the child on %s does not listen", self.device)

    def start(self, task: Task) -> None:
        self.ensure()
        self._deadline = None
        self.tell({
            "do": task.kind, "config": dict(task.config), "folder": str(task.folder),
            "pictures": str(task.pictures), "classes": str(task.classes),
        })  # fmt: skip

    def poll(self, seconds: float) -> Event | None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            self.kill()
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            return None
        if line is None:
            return self._fallen()
        try:
            return read_event(json.loads(line))
        except ValueError:  # killed in the middle of a line
            self.kill()
            return self._fallen()

    def cancel(self) -> None:
        self._deadline = time.monotonic() + GRACE_SECONDS
        self.tell({"do": "cancel"})

    def kill(self) -> None:
        """What it was about to say is not heard any more."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """End it: it goes when it hears no more."""
        process = self._process
        if process is None:
            return
        self._hang_up(process)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @staticmethod
    def _hang_up(process: "subprocess.Popen[str]") -> None:
        with suppress(OSError):  # what was yet to be sent to one that is gone
            if process.stdin:
                process.stdin.close()

    def _fallen(self) -> Lost:
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
        self._free.put(own(worker))

    def start(self, worker: Worker, task: Task) -> None:
        own(worker).start(task)

    def poll(self, worker: Worker, seconds: float) -> Event | None:
        return own(worker).poll(seconds)

    def cancel(self, worker: Worker) -> None:
        own(worker).cancel()

    def kill(self, worker: Worker) -> None:
        own(worker).kill()

    def drain(self) -> None:
        """Wait a little for work that was told to stop, and end all children."""
        deadline = time.monotonic() + GRACE_SECONDS
        with suppress(queue.Empty):
            for _ in self._children:
                self._free.get(timeout=max(0.0, deadline - time.monotonic()))
        for child in self._children:
            child.close()


def own(worker: Worker) -> Child:
    assert isinstance(worker, Child)  # noqa: S101 - for mypy: only ours are claimed here
    return worker


def read_event(message: dict[str, Any]) -> Event:
    """A line of the child's as an event."""
    match message:
        case {"progress": told}:
            return Progress(told)
        case {"done": report, "files": files}:
            return Done(tuple(map(Path, files)), report)
        case {"failed": reason}:
            return Failed(reason)
        case {"trouble": reason}:
            return Lost(reason)
        case {"stopped": _}:
            return Stopped()
    raise ValueError(f"a child said {message}")
