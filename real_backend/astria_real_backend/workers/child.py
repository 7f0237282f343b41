"""The process that holds a device: it keeps a base ready, and does one task after the other.

It reads lines of JSON and writes others; see `local.py` for its other end.
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


class Voice:
    """Tells the parent; `report` is what work calls with its progress."""

    def __init__(self, stream: IO[str]):
        self._stream = stream
        self._last, self._phase = 0.0, ""
        self.cancelled = threading.Event()

    def say(self, **message: Any) -> None:
        self._stream.write(json.dumps(message) + "\n")
        self._stream.flush()

    def report(self, progress: Mapping[str, Any]) -> bool:
        """Not every step is told, but every phase."""
        now, phase = time.monotonic(), str(progress.get("phase", ""))
        if phase != self._phase or now - self._last >= REPORT_SECONDS:
            self._last, self._phase = now, phase
            self.say(progress=dict(progress))
        return not self.cancelled.is_set()


def listen(tasks: "queue.SimpleQueue[dict[str, Any]]", voice: Voice) -> None:
    """Take tasks and cancellations in; without a parent there is nothing left to do."""
    for line in sys.stdin:
        message = json.loads(line)
        if message["do"] == "cancel":
            voice.cancelled.set()
        else:
            voice.cancelled.clear()
            tasks.put(message)
    os._exit(0)


def main() -> None:
    """Work until the parent is gone."""
    # What libraries print is no answer: it goes to the log.
    voice = Voice(os.fdopen(os.dup(1), "w"))
    os.dup2(2, 1)
    logging.basicConfig(level="INFO", format="%(levelname)s child: %(message)s", stream=sys.stderr)
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=listen, args=[tasks, voice], daemon=True).start()
    # What takes long to load is loaded before there is work.
    from astria_real_backend.workers.work import Work

    work = Work()
    while True:
        message = tasks.get()
        places = {name: Path(message[name]) for name in ("folder", "pictures", "classes")}
        task = Task(kind=message["do"], config=message["config"], **places)
        voice.say(**work.do(task, voice.report))


if __name__ == "__main__":
    main()
