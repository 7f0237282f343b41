"""HTTPS end to end: clients that trust the authority, and that have api.astria.ai built in."""

import asyncio
import io
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from astria_emulator import Config
from astria_emulator.server.certificates import path_of, server_context
from astria_emulator.server.http_server import Server
from astria_emulator.server.tls_server import TlsServer, _forward
from tests import PATIENCE_SECONDS

KEY = {"Authorization": "Bearer sd_test"}
TUNE = {"title": "Jane", "name": "woman", "branch": "fast", "image_urls": ["http://a.test/1"]}


def picture(side: int) -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)).save(out, "PNG")
    return out.getvalue()


def test_tune_is_made_and_its_photographs_come_back_over_https(
    https: tuple[str, Server], client: requests.Session
) -> None:
    url, _ = https
    photos = [picture(900) for _ in range(2)]  # 2.4 MB each
    files = [("tune[images][]", (f"{n}.png", photo)) for n, photo in enumerate(photos)]
    form = {f"tune[{name}]": TUNE[name] for name in ("title", "name", "branch")}
    made = client.post(f"{url}/tunes", data=form, files=files, timeout=PATIENCE_SECONDS)
    assert made.status_code == 201
    assert made.json()["url"].startswith(f"{url}/tunes/")
    for address, photo in zip(made.json()["orig_images"], photos, strict=True):
        assert client.get(address, timeout=PATIENCE_SECONDS).content == photo


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_openssl_trusts_the_server(https: tuple[str, Server], config: Config) -> None:
    command = f"openssl s_client -connect 127.0.0.1:{https[1].port} -verify_return_error"
    command += f" -x509_strict -CAfile {path_of(config)} -servername api.astria.ai"
    for check in ("hostname api.astria.ai", "hostname localhost", "ip 127.0.0.1"):
        done = subprocess.run(
            f"{command} -verify_{check}".split(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        assert "Verification: OK" in done.stdout


def test_connection_is_kept_for_more_requests(
    https: tuple[str, Server], client: requests.Session
) -> None:
    context = ssl.create_default_context(cafile=str(client.verify))
    request = "GET /tunes HTTP/1.1\r\nHost: api.astria.ai\r\nAuthorization: Bearer sd_test\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", https[1].port)) as plain,
        context.wrap_socket(plain, server_hostname="api.astria.ai") as wrapped,
    ):
        assert wrapped.version() == "TLSv1.3"
        for _ in range(3):
            wrapped.sendall(request.encode())
            answer = b""
            while not answer.endswith(b"[]"):
                answer += wrapped.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200")


def test_astrias_names_are_the_servers_with_tls_only(
    https: tuple[str, Server], client: requests.Session, make_api: Callable[..., Any]
) -> None:
    url, _ = https
    served = client.get(f"{url}/tunes", headers={"Host": "api.astria.ai"}, timeout=PATIENCE_SECONDS)
    other = client.get(f"{url}/tunes", headers={"Host": "evil.test"}, timeout=PATIENCE_SECONDS)
    assert (served.status_code, other.status_code) == (200, 403)
    plain = make_api().call("GET", "/tunes", headers={"Host": "api.astria.ai"})
    assert plain.status_code == 403


def test_addresses_that_are_handed_out_have_the_name_that_was_asked(
    https: tuple[str, Server], client: requests.Session
) -> None:
    url, _ = https
    host = {"Host": "api.astria.ai"}
    made = client.post(
        f"{url}/tunes", json={"tune": TUNE}, headers=host, timeout=PATIENCE_SECONDS
    ).json()
    assert made["url"] == f"https://api.astria.ai/tunes/{made['id']}.json"


def test_client_that_does_not_trust_the_authority_is_refused_and_others_are_served(
    https: tuple[str, Server], client: requests.Session
) -> None:
    url, _ = https
    with pytest.raises(requests.exceptions.SSLError):
        client.get(f"{url}/tunes", verify=True, timeout=PATIENCE_SECONDS)
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(
            f"{url.replace('https:', 'http:')}/tunes", headers=KEY, timeout=PATIENCE_SECONDS
        )
    assert client.get(f"{url}/tunes", timeout=PATIENCE_SECONDS).status_code == 200


def test_stop_passes_the_answer_on_that_is_being_made(
    https: tuple[str, Server], client: requests.Session
) -> None:
    url, server = https
    app = server._server.application
    asked, go = threading.Event(), threading.Event()

    def slow(environ: Any, start_response: Any) -> Any:
        asked.set()
        assert go.wait(PATIENCE_SECONDS)
        return app(environ, start_response)

    server._server.application = slow
    server._is_quick = lambda *asked: False
    answers: list[int] = []
    thread = threading.Thread(
        target=lambda: answers.append(
            client.get(f"{url}/tunes", timeout=PATIENCE_SECONDS).status_code
        )
    )
    thread.start()
    assert asked.wait(PATIENCE_SECONDS)
    server.stop()
    go.set()
    thread.join(PATIENCE_SECONDS)
    assert answers == [200]


def test_connections_beyond_the_limit_wait(config: Config, client: requests.Session) -> None:
    own = server_context(config)
    context = ssl.create_default_context(cafile=str(client.verify))
    with socket.create_server(("127.0.0.1", 0)) as behind:
        front = TlsServer("127.0.0.1", 0, own, behind=behind.getsockname()[1], connections=1)
        plain = [
            socket.create_connection(("127.0.0.1", front.port), PATIENCE_SECONDS) for _ in range(2)
        ]
        first = context.wrap_socket(plain[0], server_hostname="localhost")
        plain[1].settimeout(0.05)
        with pytest.raises(TimeoutError):
            context.wrap_socket(plain[1], server_hostname="localhost")
        front.stop()
        behind.accept()[0].close()
        assert first.recv(1) == b""
        for opened in (first, *plain):
            opened.close()
        front.close()


def test_end_of_an_answer_is_kept_for_a_slow_reader() -> None:
    sent = os.urandom(40_000)  # less than asyncio lets wait without a word

    async def scenario() -> bytes:
        near, far = socket.socketpair()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        _, writer = await asyncio.open_connection(sock=near)
        reader = asyncio.StreamReader()
        reader.feed_data(sent)
        reader.feed_eof()
        passing = asyncio.create_task(_forward(reader, writer))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not passing.done()
        received, end = await asyncio.open_connection(sock=far)
        taken = await received.read()
        await passing
        for open_one in (writer, end):
            open_one.close()
            await open_one.wait_closed()
        return taken

    assert asyncio.run(scenario()) == sent


# -- programs that have the address built in, in a network of their own --------------------------
PYTHON = """
import requests
headers = {"Authorization": "Bearer sd_test"}
tune = {"title": "Jane", "name": "woman", "branch": "fast", "image_urls": ["http://a.test/1"]}
made = requests.post("https://api.astria.ai/tunes", json={"tune": tune}, headers=headers)
listed = requests.get("https://api.astria.ai/tunes", headers=headers).json()
print(made.status_code, [found["url"] for found in listed])
"""
NODE = """
const headers = {Authorization: "Bearer sd_test", "Content-Type": "application/json"};
const tune = {title: "Jane", name: "woman", branch: "fast", image_urls: ["http://a.test/1"]};
const body = JSON.stringify({tune});
const made = await fetch("https://api.astria.ai/tunes", {method: "POST", headers, body});
const listed = await (await fetch("https://api.astria.ai/tunes", {headers})).json();
console.log(made.status, JSON.stringify(listed.map((found) => found.url)));
"""
# The server and a client see no other machine, and api.astria.ai at home.
INSIDE = """
set -e
ip link set lo up
mount --bind "$1/hosts" /etc/hosts
mkfifo "$1/said"
"$2" -m astria_emulator serve --tls --port 443 --tls-dir "$1/tls" >"$1/said" &
exec 3<"$1/said"
read -r ready <&3
shift 2
"$@"
kill %1
wait %1 || true
"""


def namespace_problem() -> str | None:
    """Why a network of one's own cannot be had; None where it can."""
    if sys.platform != "linux" or not shutil.which("unshare") or not shutil.which("ip"):
        return "needs Linux with unshare and ip"
    done = subprocess.run(["unshare", "--net", "--mount", "ip", "link"], capture_output=True)
    return None if done.returncode == 0 else "needs the right to make a network namespace"


@pytest.mark.parametrize("language", ["python", "node"])
def test_program_that_has_the_address_built_in_runs_unchanged(
    language: str, tmp_path: Path, config: Config
) -> None:
    if problem := namespace_problem():
        pytest.skip(problem)
    if language == "node" and not shutil.which("node"):
        pytest.skip("node is not installed")
    (tmp_path / "hosts").write_text("127.0.0.1 localhost api.astria.ai\n")
    script = tmp_path / ("client.py" if language == "python" else "client.mjs")
    script.write_text(PYTHON if language == "python" else NODE)
    runs = [sys.executable if language == "python" else "node", str(script)]
    trusted = {"python": "REQUESTS_CA_BUNDLE", "node": "NODE_EXTRA_CA_CERTS"}[language]
    environment = {**os.environ, trusted: str(path_of(config))}
    command = ["unshare", "--net", "--mount", "bash", "-c", INSIDE, "inside"]
    done = subprocess.run(
        [*command, str(tmp_path), sys.executable, *runs],
        cwd=Path(__file__).resolve().parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    status, _, urls = done.stdout.partition("[")
    assert status.split()[-1:] == ["201"], done.stdout + done.stderr
    assert json.loads("[" + urls.replace("'", '"')) == ["https://api.astria.ai/tunes/5000001.json"]
