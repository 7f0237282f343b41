"""Draw pictures on two threads of their own, each picture once for all who ask for it."""

import json
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from astria_emulator.backend import Recipe
from astria_emulator.errors import Unavailable
from astria_emulator.mock.backend import render
from astria_emulator.storage.gc_tuning import give_memory_back

# The largest picture takes about 200 MB while it is drawn. The C library keeps memory for each
# thread that draws.
THREADS = 2
KEPT = 32  # pictures
WAITING = 300  # pictures to be drawn: a client that has gone may have asked for some


class Renderer:
    """Makes the bytes of recipes, and keeps the last ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._pictures: dict[str, Future[bytes]] = {}  # those last asked for at the end

    def begin(self, recipe: Recipe) -> Future[bytes]:
        """Have a recipe's bytes made, unless they are or will be.

        Raises Unavailable where too many pictures wait.
        """
        name = json.dumps(recipe, sort_keys=True)
        with self._lock:
            picture = self._pictures.pop(name, None)
            if picture is None or (picture.done() and (picture.cancelled() or picture.exception())):
                if sum(not one.done() for one in self._pictures.values()) >= WAITING:
                    raise Unavailable(headers={"Retry-After": "1"})
                if self._threads is None:
                    self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="draw")
                picture = self._threads.submit(_draw, recipe)
            self._pictures[name] = picture
            ended = [name for name, one in self._pictures.items() if one.done()]
            for name in ended[:-KEPT]:
                del self._pictures[name]
        return picture

    def close(self) -> None:
        """Forget all pictures, and begin none that somebody still waits for."""
        with self._lock:
            if self._threads is not None:
                self._threads.shutdown(wait=False, cancel_futures=True)
                self._threads = None
            self._pictures.clear()


def _draw(recipe: Recipe) -> bytes:
    try:
        return render(recipe)
    finally:
        give_memory_back()  # 4096 x 4096 would keep about 150 MB for each thread
