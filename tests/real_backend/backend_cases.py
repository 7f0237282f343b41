"""What the tests of the backend share."""

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import requests
from PIL import Image
from scripted import ScriptedExecutor

from astria_real_backend.workers.executor import Event, Progress, Task
from tests import PATIENCE_SECONDS, wait_until

KEY = "sd_test"


def png(colour: str = "teal", size: tuple[int, int] = (80, 64)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


class Api:
    """A client of a server whose backend plays the test's script."""

    def __init__(self, url: str, app: Any, executor: ScriptedExecutor):
        self.url, self.app, self.executor = url, app, executor
        self.closed = False

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {KEY}"}
        return requests.request(
            method, self.url + path, headers=headers, timeout=PATIENCE_SECONDS, **more
        )

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def tune(self, *, files: Any = None, **given: Any) -> Any:
        """An sd15 LoRA of two pictures, unless told otherwise."""
        fields = {"title": "Tom", "name": "cat", "branch": "sd15", "model_type": "lora", **given}
        data = {f"tune[{name}]": value for name, value in fields.items() if value is not None}
        files = files or [("a.png", png("teal")), ("b.png", png("plum"))]
        parts = [("tune[images][]", file) for file in files]
        answer = self.call("POST", "/tunes", data=data, files=parts)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def prompt(self, tune_id: int, text: str = "photo of sks cat", **given: Any) -> Any:
        body = {"prompt": {"text": text, "num_images": 1, **given}}
        answer = self.call("POST", f"/tunes/{tune_id}/prompts", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def finish(self) -> None:
        wait_until(lambda: is_finished(lambda method, path: self.call(method, path).json()))

    def close(self) -> None:
        """Stop, once."""
        if not self.closed:
            self.closed = True
            self.app.close()

    def inside(self, tune: Any) -> Any:
        return self.get(f"/_emulator/tunes/{tune['id']}")


def waits(task: Task) -> Iterator[Event | None]:
    """Goes on until it is cancelled."""
    yield Progress({"phase": "training", "step": 1, "steps": 4, "seconds_left": 1000.0})
    while True:
        yield None


def is_finished(ask: Callable[[str, str], Any]) -> bool:
    """Let a server finish its work; whether all of it, and every callback, has ended.

    ask: (method, path) -> the answer's JSON. One call of it ends sooner than slow work does.
    """
    callbacks_ended = ask("POST", "/_emulator/finish")["callbacks_ended"]
    jobs = {job["kind"] for job in ask("GET", "/_emulator/jobs")}
    return bool(callbacks_ended) and jobs <= {"expire_tune"}
