"""The HTTP clients that are intercepted, each asked in the same way."""

import asyncio
import json as jsonlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpcore2
import httpx
import httpx2
import requests

URL = "https://api.astria.ai"
HEADERS = {"Authorization": "Bearer sd_test"}
WOMAN = {"title": "Jane", "name": "woman", "branch": "fast"}
TUNE = {"tune": {**WOMAN, "image_urls": ["https://a.example/1.jpg"]}}
PICTURE = b"\xff\xd8\xff\xe0" + bytes(30)


@dataclass(frozen=True)
class Got:
    status: int
    content: bytes
    headers: Any

    @property
    def json(self) -> Any:
        return jsonlib.loads(self.content)


@dataclass(frozen=True)
class Client:
    """One library; `reset`, `late` and `cut` are what it raises for an answer that is lost."""

    name: str
    send: Callable[..., Got]
    reset: type[Exception]
    late: type[Exception]
    cut: type[Exception]

    def post(self, path: str, **more: Any) -> Got:
        return self.send("POST", URL + path, headers=HEADERS, **more)

    def get(self, path: str, **more: Any) -> Got:
        url = path if path.startswith("http") else URL + path
        return self.send("GET", url, headers=HEADERS, **more)


def of_requests(method: str, url: str, **more: Any) -> Got:
    answer = requests.request(method, url, **more)
    return Got(answer.status_code, answer.content, answer.headers)


def of_httpx(library: Any) -> Callable[..., Got]:
    def send(method: str, url: str, **more: Any) -> Got:
        with library.Client() as client:
            answer = client.request(method, url, **more)
        return Got(answer.status_code, answer.content, answer.headers)

    return send


def of_async_httpx(library: Any) -> Callable[..., Got]:
    def send(method: str, url: str, **more: Any) -> Got:
        async def ask() -> Any:
            async with library.AsyncClient() as client:
                return await client.request(method, url, **more)

        answer = asyncio.run(ask())
        return Got(answer.status_code, answer.content, answer.headers)

    return send


def of_aiohttp(method: str, url: str, **more: Any) -> Got:
    files, data = more.pop("files", None), more.pop("data", None)
    if timeout := more.pop("timeout", None):
        more["timeout"] = aiohttp.ClientTimeout(total=timeout)
    if files:
        form = aiohttp.FormData(data)
        for name, (file, content, kind) in files.items():
            form.add_field(name, content, filename=file, content_type=kind)
        data = form

    async def ask() -> Got:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, data=data, **more) as answer,
        ):
            return Got(answer.status, await answer.read(), answer.headers)

    return asyncio.run(ask())


CLIENTS = [
    Client(
        "requests",
        of_requests,
        requests.exceptions.ConnectionError,
        requests.exceptions.ReadTimeout,
        requests.exceptions.ChunkedEncodingError,
    ),
    *(
        Client(name, send, library.ReadError, library.ReadTimeout, library.RemoteProtocolError)
        for name, send, library in (
            ("httpx", of_httpx(httpx), httpx),
            ("async httpx", of_async_httpx(httpx), httpx),
            ("httpx2", of_httpx(httpx2), httpx2),
            ("async httpx2", of_async_httpx(httpx2), httpx2),
        )
    ),
    Client(
        "aiohttp",
        of_aiohttp,
        aiohttp.ClientOSError,
        TimeoutError,
        aiohttp.ClientPayloadError,
    ),
]
assert httpcore2  # what httpx2 stands on
