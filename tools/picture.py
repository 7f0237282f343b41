"""Make the README's picture from a real run: `python -m tools.picture`.

A server is started, the curl command on the picture is run, the callbacks are received on
localhost:3000, and the JPEGs are fetched. All that the picture shows comes from that run. Needs
curl, chromium, and the ports 8417 and 3000.
"""

import base64
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from urllib.request import Request, urlopen

from PIL import Image

TARGET = Path(__file__).parents[1] / "docs" / "images" / "at-work.png"
WIDTH, HEIGHT = 1280, 744  # CSS pixels; the file has twice as many before it is made smaller
LIMIT_SECONDS = 300  # for each thing that is waited for
HOOKS = "http://localhost:3000"
PROMPT = "portrait of ohwx woman in a garden"
CURL = f"""\
curl -s $ASTRIA_BASE_URL/tunes -H "Authorization: Bearer $ASTRIA_API_KEY" \\
  -F "tune[title]=Jane Doe" -F "tune[name]=woman" -F "tune[branch]=fast" \\
  -F "tune[image_urls][]=https://example.com/1.jpg" \\
  -F "tune[callback]={HOOKS}/tuned?user_id=1" \\
  -F "tune[prompts_attributes][][text]={PROMPT}" \\
  -F "tune[prompts_attributes][][num_images]=4" \\
  -F "tune[prompts_attributes][][callback]={HOOKS}/drawn\""""
STYLE = """
* { box-sizing: border-box; margin: 0 }
body { width: 1280px; height: 744px; padding: 28px; background: #eef1f6; color: #1c2333;
  font: 15px "Inter", "Liberation Sans", "DejaVu Sans", sans-serif }
main { display: grid; grid-template-columns: 762px 1fr; gap: 24px; height: 100% }
section { display: flex; flex-direction: column; gap: 24px; min-height: 0 }
.card { border-radius: 12px; overflow: hidden; background: #fff;
  box-shadow: 0 1px 2px #1c233322, 0 10px 30px #1c23331c }
.card > h2 { font-size: 13px; font-weight: 600; padding: 11px 18px; color: #5a6478;
  border-bottom: 1px solid #e4e8f0 }
.dark { background: #151b2b; color: #d5dcec }
.dark > h2 { color: #93a0bb; border-color: #252e45; background: #1a2135 }
.grow { flex: 1 }
pre { font: 13px/1.62 "DejaVu Sans Mono", "Liberation Mono", monospace; padding: 13px 18px;
  white-space: pre-wrap; overflow-wrap: anywhere }
.prompt { color: #7fd1a8; font-weight: 700 } .time { color: #6f7d9c } .ok { color: #7fd1a8 }
.command { color: #fff } .hook { color: #f3c779 } .name { color: #3559b8 } .more { color: #8b95a9 }
.pictures { display: grid; grid-template-columns: 1fr 1fr; gap: 10px; padding: 14px 56px 16px }
.pictures img { width: 100%; display: block; border-radius: 8px }
"""


class Hook(BaseHTTPRequestHandler):
    """Puts each callback's path and body on a queue, and answers 204."""

    arrived: Queue[tuple[str, str]] = Queue()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.arrived.put((self.path, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@dataclass(frozen=True)
class Run:
    """What one run gave: the answer of curl, the server's output, callbacks, JPEGs."""

    answer: str
    log: tuple[str, ...]
    callbacks: tuple[tuple[str, str], ...]
    pictures: tuple[bytes, ...]


def run() -> Run:
    hooks = ThreadingHTTPServer(("127.0.0.1", 3000), Hook)
    threading.Thread(target=hooks.serve_forever, daemon=True).start()
    command = [sys.executable, "-m", "astria_emulator", "serve"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            assert server.stdout is not None
            first = server.stdout.readline()
            variables = dict(part.split("=", 1) for part in first.split() if "=" in part)
            url, key = variables["ASTRIA_BASE_URL"], variables["ASTRIA_API_KEY"]
            done = subprocess.run(
                ["bash", "-c", CURL], env={**environment, **variables}, capture_output=True,
                check=True, text=True, timeout=LIMIT_SECONDS,
            )  # fmt: skip
            callbacks = tuple(Hook.arrived.get(timeout=LIMIT_SECONDS) for _ in range(2))
            tune = json.loads(done.stdout)["id"]
            request = Request(
                f"{url}/tunes/{tune}/prompts", headers={"Authorization": f"Bearer {key}"}
            )
            with urlopen(request, timeout=LIMIT_SECONDS) as answer:
                images = json.load(answer)[0]["images"]
            pictures = []
            for image in images:
                with urlopen(image, timeout=LIMIT_SECONDS) as answer:
                    pictures.append(answer.read())
        finally:
            server.terminate()
            rest = server.stdout.read() if server.stdout else ""
    hooks.shutdown()
    hooks.server_close()
    return Run(done.stdout, (first, *rest.splitlines()), callbacks, tuple(pictures))


def shown_log(line: str) -> str:
    """A line of the log in HTML: its time grey, callbacks yellow."""
    time, _, rest = line.strip().partition(" INFO ")
    if not rest:
        return f'<span class="ok">{escape(line.strip())}</span>'
    mark = ' class="hook"' if rest.startswith("callback") else ""
    return f'<span class="time">{time} INFO</span> <span{mark}>{escape(rest)}</span>'


def shown_callback(path: str, body: str) -> str:
    """A callback in HTML: its request line, and the fields that say most."""
    (kind, fields), *_ = json.loads(body).items()
    keys = ("id", "title", "trained_at", "images")
    lines = []
    for key in keys:
        if key in fields:
            value = fields[key]
            shown = f"[{len(value)} addresses]" if key == "images" else json.dumps(value)
            lines.append(f'  <span class="name">{key}</span>  {escape(shown)}')
    more = len(fields) - len(lines)
    lines.append(f'  <span class="more">and {more} more fields</span>')
    return f"<b>POST {escape(path)}</b>  {kind}\n" + "\n".join(lines)


def page(run: Run) -> str:
    """The picture as HTML."""
    images = "".join(
        f'<img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'
        for jpeg in run.pictures
    )
    answer = escape(run.answer[:151]) + '<span class="time">…</span>'
    log = "\n".join(map(shown_log, run.log))
    callbacks = "\n\n".join(shown_callback(*callback) for callback in run.callbacks)
    return f"""<!doctype html><meta charset="utf-8"><style>{STYLE}</style><main>
<section>
<div class="card dark"><h2>Your client</h2><pre><span class="prompt">$</span> <span
class="command">{escape(CURL)}</span>
{answer}</pre></div>
<div class="card dark grow"><h2>The emulator</h2><pre><span class="prompt">$</span> <span
class="command">astria-emulator serve</span>
{log}</pre></div>
</section>
<section>
<div class="card"><h2>Pictures fetched from the addresses in the prompt</h2>
<div class="pictures">{images}</div></div>
<div class="card grow"><h2>Callbacks received by localhost:3000</h2>
<pre style="font-size:12px;line-height:1.5">{callbacks}</pre></div>
</section></main>"""


def screenshot(html: str) -> Image.Image:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "page.html", Path(folder) / "page.png"
        source.write_text(html)
        command = [
            "chromium", "--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu",
            f"--window-size={WIDTH},{HEIGHT}", "--force-device-scale-factor=2",
            f"--screenshot={target}", source.as_uri(),
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=LIMIT_SECONDS)
        return Image.open(io.BytesIO(target.read_bytes())).convert("RGB")


def main() -> None:
    picture = screenshot(page(run()))
    smaller = picture.resize((WIDTH * 5 // 4, HEIGHT * 5 // 4), Image.Resampling.LANCZOS)
    # Dithering would dirty the plain areas and double the size; refined colours show few bands.
    colours = smaller.quantize(256, kmeans=2, dither=Image.Dither.NONE)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    colours.save(TARGET, optimize=True)
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
