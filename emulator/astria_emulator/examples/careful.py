"""A careful client: train a tune, make two prompts with it, and download the pictures.

    astria-emulator exec --scenario bad-day -- python -m astria_emulator.examples.careful

It needs `pip install requests`. This is what makes it careful:

- It retries what may pass, with growing waits: 429, 5xx, no answer, an answer that is no JSON. It
  obeys Retry-After. It does not retry what was refused: 422 and other 4xx.
- When the answer to a POST is lost, it checks whether the work was done before it repeats it.
- It answers a callback at once, trusts it only with its secret, and takes it as a hint to look: a
  callback may be late, doubled, early, or never come. Polls with growing waits are the safety net.
- It notices failures, and never waits without a limit: exit code 1, and a message.
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

FIRST_WAIT, LONGEST_WAIT, GROWTH = 0.5, 30.0, 1.6  # seconds; for Astria begin with 30
TIMEOUT_SECONDS = (5, 60)  # to connect; for an answer, which Astria limits to 30
TEXTS = ("portrait of ohwx woman in a garden", "portrait of ohwx woman by the sea")
PICTURES = [f"https://example.com/jane-{number}.jpg" for number in range(1, 5)]


class Failed(Exception):
    """The work cannot be done. The text is for a person."""


class Passing(Exception):
    """A problem that may pass. `may_be_done`: whether the work may have been done all the same."""

    def __init__(self, text: str, *, retry_after: float = 0.0, may_be_done: bool = True):
        super().__init__(text)
        self.retry_after, self.may_be_done = retry_after, may_be_done


class Patience:
    """Growing waits, at most so many seconds in all."""

    def __init__(self, seconds: float):
        self._end, self._next = time.monotonic() + seconds, FIRST_WAIT

    def next(self, reason: object, *, least: float = 0.0) -> float:
        """Return the seconds to wait now, `least` or more.

        Raises Failed when there is no time left.
        """
        # Random, so that clients that failed together do not come back together.
        wait = max(least, self._next * random.uniform(1.0, 1.2))  # noqa: S311 - no secret
        self._next = min(self._next * GROWTH, LONGEST_WAIT)
        if time.monotonic() + wait > self._end:
            raise Failed(f"gave up: {reason}")
        return wait


class Astria:
    """The API. `patience`: seconds for which a request is retried."""

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
        """Create an object once. `find`: looks for it when it may have been created already."""
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

    def _json(self, method: str, path: str, **options: Any) -> Any:
        try:
            return self._once(method, self._url + path, **options).json()
        except requests.JSONDecodeError:
            raise Passing(f"{method} {path} was answered with what is no JSON") from None

    def _once(self, method: str, url: str, **options: Any) -> requests.Response:
        try:
            answer = self._session.request(method, url, timeout=TIMEOUT_SECONDS, **options)
        except requests.RequestException as error:
            raise Passing(f"{method} {url}: {type(error).__name__}") from None
        outcome = f"{method} {url} was answered with {answer.status_code}"
        if answer.status_code == 429:
            retry_after = answer.headers.get("Retry-After", "")
            seconds = float(retry_after) if retry_after.isdecimal() else 0.0
            raise Passing(outcome, retry_after=seconds, may_be_done=False)
        if answer.status_code >= 500:
            raise Passing(outcome)
        if not answer.ok:
            raise Failed(f"{outcome}: {answer.text[:200]}")
        return answer


class Listener:
    """Receives callbacks on loopback, and remembers the objects that they were about."""

    def __init__(self) -> None:
        self._called: set[tuple[str, int]] = set()
        self._changed = threading.Condition()
        secret = secrets.token_urlsafe(16)  # callbacks are not signed
        receive = self._receive

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                is_ours = self.path == f"/astria?secret={secret}"
                if is_ours:
                    receive(body)
                self.send_response(200 if is_ours else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """Do nothing: a caller that hangs up has already sent its callback."""

        server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}/astria?secret={secret}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def _receive(self, body: bytes) -> None:
        try:
            [(kind, fields)] = json.loads(body).items()
            with self._changed:
                self._called.add((kind, fields["id"]))
                self._changed.notify_all()
        except (ValueError, TypeError, KeyError, AttributeError):
            pass  # not a callback that we know; polls will read its object

    def wait(self, kind: str, id: int, seconds: float) -> None:
        """Wait until an object has called back, at most so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: (kind, id) in self._called, seconds)
            self._called.discard((kind, id))


def until_ended(
    astria: Astria, listener: Listener, kind: str, created: Any, patience: float
) -> Any:
    """Return a tune or prompt once it has ended, well or badly."""
    waits, current = Patience(patience), created
    while not current["trained_at"]:
        eta = created.get("eta", "not told")
        reason = f"{kind} {created['id']} has not ended; its eta was {eta}"
        listener.wait(kind, created["id"], waits.next(reason))
        current = astria.get(f"/{kind}s/{created['id']}")
    return current


def make_tune(astria: Astria, listener: Listener, patience: float) -> Any:
    # The title is unique and chosen before the first try, so that we can look for it.
    title = f"Jane Doe {uuid.uuid4().hex[:8]}"
    body = {"title": title, "name": "woman", "branch": "fast", "image_urls": PICTURES}

    def find() -> Any:
        tunes = astria.get("/tunes", title=title)
        return next((tune for tune in tunes if tune["title"] == title), None)

    created = astria.create("/tunes", {"tune": {**body, "callback": listener.url}}, find)
    tune = until_ended(astria, listener, "tune", created, patience)
    if datetime.fromisoformat(tune["expires_at"]) <= datetime.now(UTC):
        raise Failed(f"tune {tune['id']} has expired")
    return tune


def make_prompts(astria: Astria, listener: Listener, tune_id: int, patience: float) -> list[Any]:
    path = f"/tunes/{tune_id}/prompts"

    def create(text: str) -> Any:
        def find() -> Any:
            return next((prompt for prompt in astria.get(path) if prompt["text"] == text), None)

        body = {"text": text, "num_images": 1, "callback": listener.url}
        return astria.create(path, {"prompt": body}, find)

    created = [create(text) for text in TEXTS]
    prompts = [until_ended(astria, listener, "prompt", prompt, patience) for prompt in created]
    for prompt in prompts:
        if prompt["user_error"] or not prompt["images"]:
            raise Failed(f"prompt {prompt['id']} failed: {prompt['user_error'] or 'no pictures'}")
    return prompts


def main() -> int:
    parser = argparse.ArgumentParser(description="Make a tune, two prompts, and get the pictures.")
    parser.add_argument("--patience", type=float, default=10.0, help="seconds; give Astria an hour")
    parser.add_argument("--out", type=Path, help="folder for the pictures")
    options = parser.parse_args()
    url, key = os.environ["ASTRIA_BASE_URL"], os.environ["ASTRIA_API_KEY"]
    astria, listener = Astria(url, key, options.patience), Listener()
    try:
        tune = make_tune(astria, listener, options.patience)
        for prompt in make_prompts(astria, listener, tune["id"], options.patience):
            for at, address in enumerate(prompt["images"]):
                picture = astria.download(address)
                print(f"{prompt['text']}: {len(picture)} bytes")
                if options.out:
                    options.out.mkdir(parents=True, exist_ok=True)
                    (options.out / f"{prompt['id']}-{at}.jpg").write_bytes(picture)
    except Failed as error:
        print(f"careful: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
