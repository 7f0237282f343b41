"""A careless client, as many are: it works only while nothing goes wrong.

    astria-emulator check-client -- python -m astria_emulator.examples.careless

It needs `pip install requests`. Comments say what is wrong; careful.py does the same job well.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

TRIES = 5
CALLBACK_SECONDS = 2.0
TEXTS = ("portrait of ohwx woman in a garden", "portrait of ohwx woman by the sea")
PICTURES = [f"https://example.com/jane-{number}.jpg" for number in range(1, 5)]
URL, KEY = os.environ["ASTRIA_BASE_URL"], os.environ["ASTRIA_API_KEY"]
SESSION = requests.Session()
SESSION.headers["Authorization"] = f"Bearer {KEY}"
ENDED = threading.Semaphore(0)  # released for each prompt that has called back
TUNE: dict[str, Any] = {}


def make_tune(callback: str) -> Any:
    """Retry at once after any error, also what was refused and what was done."""
    body = {"title": "Jane Doe", "name": "woman", "branch": "fast", "image_urls": PICTURES}
    for _ in range(TRIES):
        try:
            answer = SESSION.post(f"{URL}/tunes", json={"tune": {**body, "callback": callback}})
            if answer.status_code == 201:
                return answer.json()
        except requests.RequestException:
            pass
    raise SystemExit("careless: no tune")


def make_prompt(text: str, callback: str) -> None:
    """Send again when the connection breaks, done or not, and ignore the answer."""
    body = {"prompt": {"text": text, "num_images": 1, "callback": callback}}
    path = f"{URL}/tunes/{TUNE['id']}/prompts"
    try:
        SESSION.post(path, json=body)
    except requests.ConnectionError:
        SESSION.post(path, json=body)


class Handler(BaseHTTPRequestHandler):
    """Does the work before it answers, once for each call, and trusts every caller."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        here = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        try:
            if "tune" in body:
                if body["tune"]["id"] == TUNE["id"]:  # which may not be known yet
                    for text in TEXTS:
                        make_prompt(text, here)
            else:
                first = body["prompt"]["images"][0]  # a prompt that failed has none
                print(f"{body['prompt']['text']}: {len(SESSION.get(first).content)} bytes")
                ENDED.release()
            status = 200
        except Exception as error:
            print(f"careless: {error!r}", file=sys.stderr)
            status = 500
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    TUNE.update(make_tune(f"http://127.0.0.1:{server.server_port}"))
    shown: Any = TUNE
    while not shown.get("trained_at"):  # without a limit, and much too often
        time.sleep(0.02)
        try:
            answer = SESSION.get(f"{URL}/tunes/{TUNE['id']}")
        except requests.RequestException:
            continue
        shown = answer.json()  # also an error
    for _ in TEXTS:  # a missing callback goes unnoticed
        ENDED.acquire(timeout=CALLBACK_SECONDS)
    print("done")


if __name__ == "__main__":
    main()
