"""Orders of an application, made through Astria's API."""

from collections.abc import Callable

import requests
from flask import Flask, request

from tests.testing.intercept.clients import HEADERS, TUNE, URL

HOOK = "https://app.example/hook?user=1&user=2&t=%7Bx%7D"


def create(callback: str = HOOK, **more) -> int:
    body = {"tune": {**TUNE["tune"], "callback": callback, **more}}
    return requests.post(f"{URL}/tunes", json=body, headers=HEADERS).json()["id"]


def prompt(tune_id: int, callback: str | None = None, text: str = "ohwx woman") -> int:
    body = {"prompt": {"text": text, "num_images": 1, "callback": callback}}
    answer = requests.post(f"{URL}/tunes/{tune_id}/prompts", json=body, headers=HEADERS)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def asks_here(tune_id: int) -> None:
    prompt(tune_id, HOOK)


def app_that(asks: Callable[[int], None]) -> Flask:
    """The application of the service's own examples: a tune's call makes prompts."""
    app = Flask("app")
    app.got = []

    @app.post("/hook")
    def hook() -> str:
        app.got.extend(request.json)
        if tune := request.json.get("tune"):
            asks(tune["id"])
        return ""

    return app
