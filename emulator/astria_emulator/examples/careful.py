"""A careful client: train a tune, make two prompts with it, and download the pictures.

    astria-emulator exec --scenario bad-day -- python -m astria_emulator.examples.careful

It needs `pip install requests`. What makes it careful, each once and in few lines:

- What passes is tried again, with growing waits: 429, 5xx, no answer, an answer that is no JSON.
  Retry-After counts. What was refused (422 and other 4xx) is not tried again.
- When the answer to a POST is lost, it looks whether the work was done before it repeats it.
- A callback is answered at once, believed only with its secret, and is no more than a hint to look:
  it may be late, doubled, early, or never come. Polls with growing waits are the safety net.
- What failed is noticed, and nothing is waited for without end: exit code 1, and a message.
"""

import argparse
import json
import os
import random
import secrets
import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

FIRST_WAIT, LONGEST_WAIT, GROWTH = 0.5, 30.0, 1.6  # seconds; at Astria begin with 30
ANSWER_SECONDS = (5, 60)  # to connect; for an answer, whose own limit is 30 at Astria
TEXTS = ("portrait of ohwx woman in a garden", "portrait of ohwx woman by the sea")
PICTURES = [f"https://example.com/jane-{number}.jpg" for number in range(1, 5)]


class Failed(Exception):
    """What was asked for is not to be had. The text is for a person."""


class Passing(Exception):
    """Something went wrong that may be over soon. `may_be_done`: as far as one can know."""

    def __init__(self, text: str, *, retry_after: float = 0.0, may_be_done: bool = True):
        super().__init__(text)
        self.retry_after, self.may_be_done = retry_after, may_be_done


class Patience:
    """Growing waits for so many seconds in all."""

    def __init__(self, seconds: float):
        self._end, self._next = time.monotonic() + seconds, FIRST_WAIT

    def next(self, why: object, *, least: float = 0.0) -> float:
        """Seconds to wait now.

        Raises Failed when there is no time left.
        """
        # Clients that failed together shall not come back together.
        wait = max(least, self._next * random.uniform(1.0, 1.2))  # noqa: S311 - no secret
        self._next = min(self._next * GROWTH, LONGEST_WAIT)
        if time.monotonic() + wait > self._end:
            raise Failed(f"gave up: {why}")
        return wait


class Astria:
    """The API. `patience`: seconds that a request is tried again for."""

    def __init__(self, url: str, key: str, patience: float):
        self._url, self._patience = url, patience
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {key}"

    def get(self, path: str, **query: Any) -> Any:
        return self._until_done(lambda: self._json("GET", path, params=query))

    def download(self, url: str) -> bytes:
        content: bytes = self._until_done(lambda: self._once("GET", url).content)
        return content

    def create(self, path: str, body: Any, find: Callable[[], Any]) -> Any:
        """Make an object once. `find`: looks for it, when nobody knows whether it was made."""
        return self._until_done(lambda: self._json("POST", path, json=body), find=find)

    def _until_done(self, act: Callable[[], Any], *, find: Callable[[], Any] | None = None) -> Any:
        patience = Patience(self._patience)
        while True:
            try:
                return act()
            except Passing as trouble:
                time.sleep(patience.next(trouble, least=trouble.retry_after))
                if find and trouble.may_be_done and (found := find()):
                    return found

    def _json(self, method: str, path: str, **more: Any) -> Any:
        try:
            return self._once(method, self._url + path, **more).json()
        except requests.JSONDecodeError:
            raise Passing(f"{method} {path} was answered with what is no JSON") from None

    def _once(self, method: str, url: str, **more: Any) -> requests.Response:
        try:
            answer = self._session.request(method, url, timeout=ANSWER_SECONDS, **more)
        except requests.RequestException as error:
            raise Passing(f"{method} {url}: {type(error).__name__}") from None
        about = f"{method} {url} was answered with {answer.status_code}"
        if answer.status_code == 429:
            told = answer.headers.get("Retry-After", "")
            seconds = float(told) if told.isdecimal() else 0.0
            raise Passing(about, retry_after=seconds, may_be_done=False)
        if answer.status_code >= 500:
            raise Passing(about)
        if not answer.ok:
            raise Failed(f"{about}: {answer.text[:200]}")
        return answer


class Listener:
    """Takes callbacks on loopback, and remembers whom they were about."""

    def __init__(self) -> None:
        self._heard: set[tuple[str, int]] = set()
        self._news = threading.Condition()
        secret = secrets.token_urlsafe(16)  # callbacks are not signed
        heard = self._hear

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                is_ours = self.path == f"/astria?secret={secret}"
                if is_ours:
                    heard(body)
                self.send_response(200 if is_ours else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """Nothing: a caller that hangs up has said all that it had to say."""

        server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}/astria?secret={secret}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def _hear(self, body: bytes) -> None:
        try:
            [(kind, about)] = json.loads(body).items()
            with self._news:
                self._heard.add((kind, about["id"]))
                self._news.notify_all()
        except (ValueError, TypeError, KeyError, AttributeError):
            pass  # it says nothing that we know of; what it was about will be read

    def wait(self, kind: str, id: int, seconds: float) -> None:
        """Until an object has called back, however often; or so long."""
        with self._news:
            self._news.wait_for(lambda: (kind, id) in self._heard, seconds)
            self._heard.discard((kind, id))


def until_ended(astria: Astria, listener: Listener, kind: str, made: Any, patience: float) -> Any:
    """A tune or prompt once it has ended, well or badly."""
    waits, shown = Patience(patience), made
    while not shown["trained_at"]:
        why = f"{kind} {made['id']} has not ended; its eta was {made.get('eta', 'not told')}"
        listener.wait(kind, made["id"], waits.next(why))
        shown = astria.get(f"/{kind}s/{made['id']}")
    return shown


def make_tune(astria: Astria, listener: Listener, patience: float) -> Any:
    # The title is this order's own, and made up before the first try: it is what we look for.
    title = f"Jane Doe {uuid.uuid4().hex[:8]}"
    body = {"title": title, "name": "woman", "branch": "fast", "image_urls": PICTURES}

    def find() -> Any:
        found = astria.get("/tunes", title=title)
        return next((tune for tune in found if tune["title"] == title), None)

    made = astria.create("/tunes", {"tune": {**body, "callback": listener.url}}, find)
    tune = until_ended(astria, listener, "tune", made, patience)
    if datetime.fromisoformat(tune["expires_at"]) <= datetime.now(UTC):
        raise Failed(f"tune {tune['id']} has expired")
    return tune


def make_prompts(astria: Astria, listener: Listener, tune_id: int, patience: float) -> list[Any]:
    path = f"/tunes/{tune_id}/prompts"

    def create(text: str) -> Any:
        def find() -> Any:
            return next((one for one in astria.get(path) if one["text"] == text), None)

        body = {"text": text, "num_images": 1, "callback": listener.url}
        return astria.create(path, {"prompt": body}, find)

    made = [create(text) for text in TEXTS]
    prompts = [until_ended(astria, listener, "prompt", one, patience) for one in made]
    for prompt in prompts:
        if prompt["user_error"] or not prompt["images"]:
            raise Failed(f"prompt {prompt['id']} failed: {prompt['user_error'] or 'no pictures'}")
    return prompts


def main() -> int:
    parser = argparse.ArgumentParser(description="Make a tune, two prompts, and get the pictures.")
    parser.add_argument("--patience", type=float, default=10.0, help="seconds; give Astria an hour")
    parser.add_argument("--out", type=Path, help="folder for the pictures")
    given = parser.parse_args()
    url, key = os.environ["ASTRIA_BASE_URL"], os.environ["ASTRIA_API_KEY"]
    astria, listener = Astria(url, key, given.patience), Listener()
    try:
        tune = make_tune(astria, listener, given.patience)
        for prompt in make_prompts(astria, listener, tune["id"], given.patience):
            for at, address in enumerate(prompt["images"]):
                picture = astria.download(address)
                print(f"{prompt['text']}: {len(picture)} bytes")
                if given.out:
                    given.out.mkdir(parents=True, exist_ok=True)
                    (given.out / f"{prompt['id']}-{at}.jpg").write_bytes(picture)
    except Failed as error:
        print(f"careful: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
