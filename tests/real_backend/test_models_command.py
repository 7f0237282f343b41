"""The command that lists and fetches models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from astria_real_backend.commands import models
from astria_real_backend.server_side.bases import TOY_FOLDER
from astria_real_backend.server_side.catalog import Catalogue
from tests.real_backend.hub_downloads import Hub
from tests.real_backend.model_folders import ROW, Write, write_pipeline


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Runs the command with an empty cache."""
    pytest.importorskip("huggingface_hub", reason="needs astria-emulator[real]")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return lambda *arguments: CliRunner().invoke(models, arguments)


def test_models_lists_what_is_there_and_why_the_rest_is_not(
    run: Callable[..., Any], toml: Write, tmp_path: Path
) -> None:
    write_pipeline(tmp_path / "mine")
    path = toml("[[base]]\n" + ROW.replace("org/mine", "mine"))
    found = run("--models", str(path))
    lines = found.stdout.splitlines()
    assert found.exit_code == 0
    assert lines[0].split() == ["id", "family", "here", "source", "title"]
    assert lines[1].split() == ["9", "sd15", "yes", str(tmp_path / "mine"), "Mine"]
    assert lines[2].split()[:3] == ["666678", "sdxl1", "no"]
    assert lines[3].strip().startswith(f"not in {tmp_path / 'hub'}")
    assert "non-commercial" in lines[-1]


def test_models_knows_the_toy(run: Callable[..., Any]) -> None:
    assert str(TOY_FOLDER) in run("--toy").stdout


def test_models_fetches_what_it_is_asked_for(
    run: Callable[..., Any], hub: Hub, toml: Write, tmp_path: Path
) -> None:
    path = toml(f"[[base]]\n{ROW}")
    found = run("--models", str(path), "--fetch", "9")
    assert found.exit_code == 0
    assert str(tmp_path / "hub" / "models--org--mine") in found.stderr
    assert ["9", "sd15", "yes"] in [line.split()[:3] for line in found.stdout.splitlines()]


def test_models_exits_with_1_when_a_fetch_fails(run: Callable[..., Any], hub: Hub) -> None:
    hub.error = ConnectionResetError()
    found = run("--fetch", "690204", "--fetch", "666678")
    assert found.exit_code == 1
    assert "base 690204" in found.stderr
    assert "base 666678" in found.stderr
    assert "1504944" in found.stdout


def test_models_refuses_an_id_that_it_does_not_know(run: Callable[..., Any]) -> None:
    found = run("--fetch", "5")
    assert found.exit_code == 2
    assert "5: expected 666678, 690204, 1504944" in found.stderr


def test_single_file_needs_a_folder_with_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "style.safetensors").touch()
    (tmp_path / "sd15").mkdir()
    (tmp_path / "sd15" / "model_index.json").write_text("{}")
    row = '[[base]]\ntune_id = 7\ntitle = "a"\nfamily = "sd15"\nsource = "style.safetensors"\n'
    for config, absence in (("", "expected a folder"), ('config = "sd15"', None)):
        (tmp_path / "models.toml").write_text(f"{row}{config}\n")
        found = Catalogue.read(tmp_path / "models.toml", cache=tmp_path)
        told = found.absence(found.bases[7])
        assert (absence in told) if absence and told else told is absence
    assert found.bases[7].config == str(tmp_path / "sd15")


def test_command_is_one_of_the_emulators(monkeypatch: pytest.MonkeyPatch) -> None:
    from astria_emulator.__main__ import main

    shown = CliRunner().invoke(main, ["--help"])
    assert "models" in shown.output
    listed = CliRunner().invoke(main, ["models", "--toy"])
    assert (listed.exit_code, "Toy base" in listed.output) == (0, True)
