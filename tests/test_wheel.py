"""The wheel: what is in it, and that it serves without the checkout."""

import importlib.util
import io
import os
import re
import subprocess
import sys
import threading
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from PIL import Image

from tests import PATIENCE_SECONDS
from tests.users_code import USERS_TESTS, USERS_TYPES

ROOT = Path(__file__).parent.parent
KEY = {"Authorization": "Bearer sd_test"}
PACKAGES = ("contracts", "emulator", "real_backend")
# What pip says when it cannot get the build backend.
OUT_OF_REACH = ("No matching distribution found for hatchling", "Could not find a version")


def pip(
    *arguments: str | Path, python: str | Path = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run pip, which gives up soon on a registry that does not answer."""
    command = [str(python), "-m", "pip", *map(str, arguments)]
    # As variables, these hold for the pip that gets the build backend as well.
    reach = {"PIP_RETRIES": "0", "PIP_DEFAULT_TIMEOUT": "10", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(
        command,
        env={**os.environ, **reach},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
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


@dataclass(frozen=True)
class Environment:
    """Has the wheel; beside it a user's project whose packages are named as our folders."""

    folder: Path
    project: Path

    def command(self, *words: str) -> list[str]:
        return [str(self.folder / "bin" / words[0]), *words[1:]]

    @property
    def variables(self) -> dict[str, str]:
        """Ours and Python's settings do not reach it."""
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("ASTRIA_", "PYTHON"))}
        return {**kept, "PATH": f"{self.folder / 'bin'}{os.pathsep}{kept['PATH']}"}

    def run(self, *words: str) -> str:
        """What a command prints, run in the project's folder."""
        ended = subprocess.run(
            self.command(*words),
            cwd=self.project,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout


# The packages of a user's project, each of which knows that it is the user's.
OWN_PACKAGES = ("contracts", "emulator", "real_backend", "tests")


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    constraints = ["--constraint", ROOT / "constraints.txt"]
    ended = pip(
        "install", *constraints, f"{wheel}[contracts,testing]", python=folder / "bin/python"
    )
    if any(said in ended.stdout + ended.stderr for said in OUT_OF_REACH):
        pytest.skip("the registry that has the packages that the wheel needs is out of reach")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    project = tmp_path_factory.mktemp("project")
    for name in OWN_PACKAGES:
        (project / name).mkdir()
        (project / name / "__init__.py").write_text(f'WHOSE = "the {name} of the user"\n')
    return Environment(folder, project)


@pytest.fixture
def server(environment: Environment, tmp_path: Path) -> Iterator[str]:
    """The URL of a server that runs from the installed wheel, in the user's project."""
    serve = ["python", "-m", "astria_emulator", "serve", "--port", "0", "--prompt-seconds", "0"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            environment.command(*serve),
            cwd=environment.project,
            env=environment.variables,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    watchdog = threading.Timer(PATIENCE_SECONDS, process.kill)
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
    assert requests.get(f"{server}/_emulator/health", timeout=PATIENCE_SECONDS).json() == {
        "status": "ok"
    }
    for attributes in (
        {"text": "a lighthouse"},
        {"video_model": "seedance2_fast_720p", "video_prompt": "waves"},
    ):
        made = requests.post(
            f"{server}/tunes/690204/prompts",
            json={"prompt": {**attributes, "num_images": 1, "w": 256, "h": 256}},
            headers=KEY,
            timeout=PATIENCE_SECONDS,
        ).json()
        requests.post(f"{server}/_emulator/finish", timeout=PATIENCE_SECONDS).raise_for_status()
        prompt = requests.get(
            f"{server}/prompts/{made['id']}", headers=KEY, timeout=PATIENCE_SECONDS
        ).json()
        content = requests.get(prompt["images"][0], timeout=PATIENCE_SECONDS).content
        if "text" in attributes:
            with Image.open(io.BytesIO(content)) as picture:
                assert (picture.format, picture.size) == ("JPEG", (256, 256))
        else:
            assert content[4:8] == b"ftyp"


def test_installed_wheel_serves_its_contract_and_its_documentation(server):
    contract = requests.get(f"{server}/_emulator/openapi.yaml", timeout=PATIENCE_SECONDS)
    assert contract.content == (ROOT / "openapi.yaml").read_bytes()
    assert "swagger" in requests.get(f"{server}/_emulator/", timeout=PATIENCE_SECONDS).text.lower()


@pytest.mark.parametrize("words", ["pytest", "python -m pytest"])
def test_users_own_packages_and_the_fixture_work_side_by_side(environment, words):
    (environment.project / "tests" / "test_app.py").write_text(USERS_TESTS)
    told = environment.run(*words.split(), "-q", "-p", "no:cacheprovider", "tests")
    assert "5 passed" in told


def test_exec_runs_a_command_of_a_project_that_has_our_folders_names(environment):
    code = "import contracts, emulator, os, real_backend; print(os.environ['ASTRIA_BASE_URL'])"
    told = environment.run("astria-emulator", "exec", "--", "python", "-c", code)
    assert told.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("words", ["astria-contracts", "python -m astria_contracts"])
def test_installed_suite_tests_the_installed_emulator(environment, tmp_path, words):
    report = str(tmp_path / "report")
    environment.run(*words.split(), "-k", "accounts", "--report", report)
    assert (tmp_path / "report" / "report.html").exists()


def test_suite_runs_within_pytest(environment):
    told = environment.run(
        "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "astria_contracts", "-k", "accounts"
    )
    assert " passed" in told


@pytest.mark.parametrize("name", ["astria_emulator", "astria_contracts", "astria_real_backend"])
def test_installed_package_says_how_it_is_used(environment, name):
    """Without the packages of the extra `real`, too."""
    assert "Usage: " in environment.run("python", "-m", name, "--help")


def test_installed_wheel_runs_its_own_modules(environment):
    code = "import astria_emulator.app; print(astria_emulator.app.__file__)"
    assert Path(environment.run("python", "-c", code).strip()).is_relative_to(environment.folder)


def check_types(environment: Environment, code: str) -> subprocess.CompletedProcess[str]:
    """Check a user's file against the installed wheel."""
    path = environment.project / "app.py"
    path.write_text(code)
    flags = ["--strict", "--cache-dir", os.devnull, "--config-file", os.devnull]
    python = environment.folder / "bin" / "python"
    return subprocess.run(
        [sys.executable, "-m", "mypy", *flags, "--python-executable", python, path],
        cwd=environment.project,
        env=environment.variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def test_users_types_are_checked_against_the_wheel(environment):
    ended = check_types(environment, USERS_TYPES)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "error"),
    [
        ("state: str =", "state: int =", "assignment"),
        ('other_hosts="refuse"', 'other_hosts="deny"', "call-overload"),
        ("astria.finish()", "astria.finnish()", "attr-defined"),
        ("-> str | None:\n        return None", "-> int:\n        return 0", "assignment"),
    ],
)
def test_wrong_types_are_errors(environment, right, wrong, error):
    ended = check_types(environment, USERS_TYPES.replace(right, wrong, 1))
    assert ended.returncode == 1
    assert f"[{error}]" in ended.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_wheel_says_that_its_packages_are_typed(wheel, package):
    with zipfile.ZipFile(wheel) as archive:
        assert f"astria_{package}/py.typed" in archive.namelist()
