"""What the tests of fetching share."""

from collections.abc import Callable
from typing import Any

ALWAYS = {"assume": ("fetching=always",)}
VIDEO = {"text": "a", "video_prompt": "b", "video_model": "seedance_480p"}
REFERRING = {**VIDEO, "video_model": "seedance2_fast_720p"}


class Site:
    """Serves files on loopback, and tells what was asked for."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, tuple[str, bytes]] = {}
        self.asked: list[str] = []
        self.before: Callable[[], object] = lambda: None

    def put(self, name: str, data: bytes, kind: str = "image/jpeg") -> str:
        self.files[f"/{name}"] = kind, data
        return f"{self.url}/{name}?key=secret"


def shown(api: Any, url: str) -> tuple[str, bytes]:
    answer = api.client.get(url)
    assert answer.status_code == 200
    return answer.content_type, answer.data
