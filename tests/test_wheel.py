"""The wheel: what is in it, and that it serves without the checkout."""

import importlib.util
import io
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image

ROOT = Path(__file__).parent.parent
KEY = {"Authorization": "Bearer sd_test"}
DEADLINE_SECONDS = 120
PACKAGES = ("contracts", "emulator", "real_backend")
# What pip says when it cannot get the build backend.
OUT_OF_REACH = ("No matching distribution found for hatchling", "Could not find a version")


def pip(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run pip, which gives up soon on a registry that does not answer."""
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    # As variables, these hold for the pip that gets the build backend as well.
    reach = {"PIP_RETRIES": "0", "PIP_DEFAULT_TIMEOUT": "10", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(
        command,
        env={**os.environ, **reach},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    here = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    ended = pip("wheel", "--no-deps", *here, "--wheel-dir", folder, ROOT)
    if any(said in ended.stdout + ended.stderr for said in OUT_OF_REACH):
        pytest.skip("the registry that has the build backend, hatchling, is out of reach")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    [found] = folder.glob("*.whl")
    return found


@pytest.fixture
def target(wheel: Path, tmp_path: Path) -> Path:
    """A folder that the wheel is installed in."""
    ended = pip("install", "--no-index", "--no-deps", "--target", tmp_path / "site", wheel)
    assert ended.returncode == 0, ended.stderr
    return tmp_path / "site"


@pytest.fixture
def server(target: Path, tmp_path: Path) -> Iterator[str]:
    """The URL of a server that runs from the installed wheel, in another folder."""
    (tmp_path / "elsewhere").mkdir()
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("ASTRIA_", "PYTHON"))}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "astria_emulator",
                "serve",
                "--port",
                "0",
                "--prompt-seconds",
                "0",
            ],
            cwd=tmp_path / "elsewhere",
            env={**kept, "PYTHONPATH": str(target)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    watchdog = threading.Timer(DEADLINE_SECONDS, process.kill)
    watchdog.start()
    assert process.stdout
    found = re.search(r"ASTRIA_BASE_URL=(\S+)", process.stdout.readline())
    try:
        assert found, (tmp_path / "log").read_text()
        yield found[1]
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


def test_wheel_holds_the_packages_and_all_their_data(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    packages = {
        path.relative_to(ROOT / package).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    kinds = {Path(name).suffix for name in packages}
    assert kinds >= {".yaml", ".otf", ".mp4", ".html", ".js", ".css", ".json", ".jinja", ".ini"}
    assert {name for name in names if ".dist-info/" not in name} == packages | {
        "astria_emulator/openapi.yaml"
    }


def test_wheel_holds_the_licences_and_nothing_else_beside_the_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        licences = [name for name in archive.namelist() if ".dist-info/" in name]
        contract = archive.read("astria_emulator/openapi.yaml")
    assert {name.partition("/")[2] for name in licences} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
        "licenses/emulator/astria_emulator/control/docs/LICENSE-swagger-ui.txt",
        "licenses/emulator/astria_emulator/mock/drawing/fonts/OFL.txt",
    }
    assert contract == (ROOT / "openapi.yaml").read_bytes()


def test_installed_wheel_serves_a_picture_and_a_clip(server):
    assert requests.get(f"{server}/_emulator/health", timeout=10).json() == {"status": "ok"}
    for attributes in (
        {"text": "a lighthouse"},
        {"video_model": "seedance2_fast_720p", "video_prompt": "waves"},
    ):
        made = requests.post(
            f"{server}/tunes/690204/prompts",
            json={"prompt": {**attributes, "num_images": 1, "w": 256, "h": 256}},
            headers=KEY,
            timeout=10,
        ).json()
        requests.post(f"{server}/_emulator/finish", timeout=10).raise_for_status()
        prompt = requests.get(f"{server}/prompts/{made['id']}", headers=KEY, timeout=10).json()
        content = requests.get(prompt["images"][0], timeout=10).content
        if "text" in attributes:
            with Image.open(io.BytesIO(content)) as picture:
                assert (picture.format, picture.size) == ("JPEG", (256, 256))
        else:
            assert content[4:8] == b"ftyp"


def test_installed_wheel_serves_its_contract_and_its_documentation(server):
    contract = requests.get(f"{server}/_emulator/openapi.yaml", timeout=10)
    assert contract.content == (ROOT / "openapi.yaml").read_bytes()
    assert "swagger" in requests.get(f"{server}/_emulator/", timeout=10).text.lower()


def test_installed_suite_tests_the_installed_emulator(target, tmp_path):
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("ASTRIA_", "PYTHON"))}
    command = [
        sys.executable,
        "-m",
        "astria_contracts",
        "-k",
        "accounts",
        "--report",
        tmp_path / "report",
    ]
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / "report" / "report.html").exists()


def test_installed_wheel_runs_its_own_modules(target, tmp_path):
    kept = {n: v for n, v in os.environ.items() if not n.startswith("PYTHON")}
    where = subprocess.run(
        [sys.executable, "-c", "import astria_emulator.app; print(astria_emulator.app.__file__)"],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert where.stdout.strip() == str(target / "astria_emulator" / "app.py")
