"""The whole way as a user goes it: a server in a process of its own, real files, real training."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image
from safetensors.torch import load
from training import SUBJECTS, pictures_of

from astria_emulator.config import PREFIX
from tests import PATIENCE_SECONDS, wait_until
from tests.real_backend.backend_cases import is_finished

KEY = "sd_local"


class Server:
    """`python -m astria_real_backend serve` on the toy base and a folder."""

    def __init__(self, folder: Path, *options: str):
        self._ready = folder / "ready"
        self._ready.unlink(missing_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        chosen = ",".join(["toy=true", "devices=cpu", "threads=1", *options])
        flags = ["--port", "0", "--keys", KEY, "--data", str(folder / "data")]
        command = [
            sys.executable,
            "-m",
            "astria_real_backend",
            "serve",
            "--backend-options",
            chosen,
        ]
        self.log = folder / "log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*command, *flags, "--ready-file", str(self._ready)],
                env=kept, stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip

    @property
    def url(self) -> str:
        def is_ready() -> bool:  # or it ends, and its log says why
            assert self.process.poll() is None, self.log.read_text()
            return self._ready.exists()

        wait_until(is_ready)
        return self._ready.read_text().strip()

    def ask(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = requests.request(
            method, self.url + path, headers=headers, timeout=PATIENCE_SECONDS, **more
        )
        assert answer.status_code in (200, 201), answer.text
        return answer.json() if answer.content else None

    def tune(self, **given: str) -> Any:
        fields = {"title": "Tom", "name": "cat", "branch": "sd15", **given}
        return self.ask(
            "POST", "/tunes", data={f"tune[{name}]": value for name, value in fields.items()},
            files=[("tune[images][]", (one.name, one.data)) for one in pictures_of("purple")],
        )  # fmt: skip

    def finish(self) -> None:
        wait_until(lambda: is_finished(self.ask))

    def step(self) -> int:
        """Of the training under way."""
        jobs = self.ask("GET", "/_emulator/jobs")
        return max((job["progress"].get("step", 0) for job in jobs if job["progress"]), default=0)

    def stop(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(PATIENCE_SECONDS)


@pytest.fixture
def serve_real(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def start(*options: str) -> Server:
        made.append(Server(tmp_path, *options))
        return made[-1]

    yield start
    for server in made:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)


def test_pictures_become_a_tune_its_callback_and_pictures_of_the_subject(
    serve_real: Callable[..., Server], receiver: Any
) -> None:
    server = serve_real()
    before = server.ask(
        "POST", "/tunes/690204/prompts", json={"prompt": {"text": "photo of a cat", "seed": 3}}
    )
    tune = server.tune(
        model_type="lora", callback=f"{receiver.url}/tune",
        **{"prompts_attributes][][text": "photo of sks cat", "prompts_attributes][][seed": "3",
           "prompts_attributes][][num_images": "4",
           "prompts_attributes][][callback": f"{receiver.url}/prompt"},
    )  # fmt: skip
    server.finish()
    done = server.ask("GET", f"/tunes/{tune['id']}")
    assert done["trained_at"], server.ask("GET", f"/_emulator/tunes/{tune['id']}")
    assert [path for path, _ in receiver.received] == ["/tune", "/prompt"]
    assert load(requests.get(done["ckpt_url"], timeout=PATIENCE_SECONDS).content)
    [after] = server.ask("GET", f"/tunes/{tune['id']}/prompts")
    plain = server.ask("GET", f"/prompts/{before['id']}")["images"]
    assert purple(plain) < 0.02
    assert purple(after["images"]) > 0.1
    assert len(after["images"]) == 4


def purple(urls: list[str]) -> float:
    """How much of pictures has the subject's colour."""
    shares = []
    for url in urls:
        picture = Image.open(BytesIO(requests.get(url, timeout=PATIENCE_SECONDS).content))
        assert picture.size == (64, 64)
        off = np.abs(np.asarray(picture, dtype=int) - SUBJECTS["purple"]).max(-1)
        shares.append((off < 70).mean())
    return float(np.mean(shares))


def places_of(photo: bytes, folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if path.read_bytes() == photo]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_server_that_goes_while_it_trains_goes_on_where_it_was(
    serve_real: Callable[..., Server], receiver: Any, tmp_path: Path, number: signal.Signals
) -> None:
    server = serve_real("checkpoint-steps=2")
    tune = server.tune(model_type="lora", steps="40", callback=receiver.url)
    wait_until(lambda: server.step() >= 4)
    photo = pictures_of("purple")[0].data
    assert len(places_of(photo, tmp_path)) == 2  # kept, and given to the process that trains
    server.stop(number)
    again = serve_real("checkpoint-steps=2")
    again.finish()
    inside = again.ask("GET", f"/_emulator/tunes/{tune['id']}")
    assert inside["state"] == "trained", inside
    assert inside["training"]["resumed_at"] >= 2
    assert len(inside["training"]["losses"]) == 40
    assert len(receiver.received) == 1
    again.ask("DELETE", f"/tunes/{tune['id']}")
    assert places_of(photo, tmp_path) == []
