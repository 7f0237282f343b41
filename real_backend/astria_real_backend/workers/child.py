"""The process that holds a device: it keeps a base loaded, and does one task after the other.

It reads and writes lines of JSON, each with the number of its task; `local.py` is the other end.
"""

import json
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from astria_real_backend.workers.executor import Task

REPORT_SECONDS = 0.25

log = logging.getLogger(__name__)


class Channel:
    """The child's end: each line names its task; `report` is what work calls with its progress."""

    def __init__(self, stream: IO[str]):
        self._stream = stream
        self._task = 0
        self._cancelled: set[int] = set()
        self._last, self._phase = 0.0, ""

    def begin(self, task: int) -> None:
        """From now on lines are about this task."""
        self._task = task
        self._last, self._phase = 0.0, ""

    def send(self, **message: Any) -> None:
        self._stream.write(json.dumps({"task": self._task, **message}) + "\n")
        self._stream.flush()

    def report(self, progress: Mapping[str, Any]) -> bool:
        """Send every new phase, and else at most one line every REPORT_SECONDS."""
        now, phase = time.monotonic(), str(progress.get("phase", ""))
        if phase != self._phase or now - self._last >= REPORT_SECONDS:
            self._last, self._phase = now, phase
            self.send(progress=dict(progress))
        return self._task not in self._cancelled

    def cancel(self, task: int) -> None:
        """Let the next report of this task answer that it shall stop."""
        self._cancelled.add(task)


def listen(tasks: "queue.SimpleQueue[dict[str, Any]]", channel: Channel) -> None:
    """Take tasks and cancellations in; without a parent the process ends."""
    for line in sys.stdin:
        message = json.loads(line)
        if message["do"] == "cancel":
            channel.cancel(message["task"])
        else:
            tasks.put(message)
    os._exit(0)


def main() -> None:
    """Work until the parent is gone."""
    # What libraries print goes to the log, not to the parent.
    channel = Channel(os.fdopen(os.dup(1), "w"))
    os.dup2(2, 1)
    logging.basicConfig(level="INFO", format="%(levelname)s child: %(message)s", stream=sys.stderr)
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=listen, args=[tasks, channel], daemon=True).start()
    # What takes long to load is loaded before there is work.
    from astria_real_backend.workers.work import Work

    work = Work()
    while True:
        message = tasks.get()
        folders = {name: Path(message[name]) for name in ("folder", "pictures", "classes")}
        task = Task(kind=message["do"], config=message["config"], **folders)
        channel.begin(message["task"])
        channel.send(**work.do(task, channel.report))


if __name__ == "__main__":
    main()
