"""Models in the cache of the hub: found, fetched, listed, and said why not."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from astria_emulator import SetupError
from astria_real_backend.server_side.catalog import Catalogue
from tests.real_backend.hub_downloads import COMMIT, Hub, snapshot
from tests.real_backend.model_folders import FILES, UNET, base_at, write_pipeline


def test_paths_that_are_no_model_are_not_there(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").touch()
    (tmp_path / "a.ckpt").touch()
    (tmp_path / "a.txt").touch()
    (tmp_path / "empty").mkdir()
    expected = {
        "a.safetensors": "config '': expected a folder",
        "a.ckpt": "never pickle", "a.txt": "expected .safetensors",
        "empty": "no model_index.json", "b.safetensors": "is not there", "b": "is not there",
    }  # fmt: skip
    for name, part in expected.items():
        assert part in str(catalogue.absence(base_at(tmp_path / name))), name


@pytest.mark.parametrize(
    ("ref", "revision"),
    [("main", None), ("fp16", "fp16"), (None, COMMIT), ("refs/pr/1", "refs/pr/1")],
)
def test_model_of_the_hub_is_found_in_its_cache(
    catalogue: Catalogue, ref: str | None, revision: str | None
) -> None:
    base = base_at("org/mine", revision=revision)
    assert "`astria-emulator models --fetch 7` gets it" in str(catalogue.absence(base))
    folder = write_pipeline(snapshot(catalogue.cache, ref=ref))
    assert catalogue.locate(base) == folder
    assert "not in" in str(catalogue.absence(base_at("org/mine", revision="other")))
    hub = pytest.importorskip("huggingface_hub", reason="needs astria-emulator[real]")
    theirs = hub.snapshot_download(
        "org/mine", revision=revision, cache_dir=catalogue.cache, local_files_only=True
    )
    assert Path(theirs) == folder


def test_cache_is_where_the_hub_keeps_it() -> None:
    """As its variables say, which it reads when it is imported."""
    pytest.importorskip("huggingface_hub", reason="needs astria-emulator[real]")
    script = (
        "from astria_real_backend.server_side.catalog import Catalogue\n"
        "catalogue = Catalogue.read()\n"
        "print(catalogue.absence(catalogue.bases[690204]))"
    )
    environment = {**os.environ, "HF_HOME": "~/y", "HOME": "/home/jane"}
    environment = {k: v for k, v in environment.items() if k != "HF_HUB_CACHE"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, check=True, text=True
    )
    assert done.stdout.startswith("not in /home/jane/y/hub;")


def test_fetch_downloads_what_loading_needs_and_no_more(catalogue: Catalogue, hub: Hub) -> None:
    folder = catalogue.fetch(base_at("org/mine"))
    got = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert got == {*FILES, "model_index.json"}
    assert {*hub.calls} == {("org/mine", None, catalogue.cache)}


def test_fetch_asks_for_nothing_when_all_is_there(catalogue: Catalogue, hub: Hub) -> None:
    base = base_at("org/mine")
    folder = write_pipeline(snapshot(catalogue.cache))
    assert catalogue.fetch(base) == folder
    assert hub.calls == []


def test_fetch_of_a_folder_that_is_not_there_asks_for_nothing(
    catalogue: Catalogue, hub: Hub, tmp_path: Path
) -> None:
    with pytest.raises(SetupError, match=r"base 7 .*no is not there"):
        catalogue.fetch(base_at(tmp_path / "no"))
    assert hub.calls == []


def test_fetch_tells_of_weights_that_are_not_safetensors(catalogue: Catalogue, hub: Hub) -> None:
    hub.files = [name for name in hub.files if name != UNET]
    with pytest.raises(SetupError, match=r"unet has no model\.safetensors or"):
        catalogue.fetch(base_at("org/mine"))


def test_fetch_is_refused_offline(
    catalogue: Catalogue, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SetupError, match=r"base 7 org/mine: .*forbids"):
        catalogue.fetch(base_at("org/mine"))
    assert hub.calls == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GatedRepoError", "gated: accept its terms on https://huggingface.co/org/mine"),
        ("RepositoryNotFoundError", "the hub has no such model"),
        ("RevisionNotFoundError", "revision 'v9': expected a branch, tag or commit"),
        ("HfHubHTTPError", "the hub answers with status 503"),
        ("LocalEntryNotFoundError", "the hub cannot be reached"),
        ("", "ConnectionResetError while it was fetched"),
    ],
)
def test_fetch_that_fails_is_told_without_the_hubs_words(
    catalogue: Catalogue, hub: Hub, name: str, expected: str
) -> None:
    from huggingface_hub import errors

    hub.error = ConnectionResetError("hf_secret")
    if name == "LocalEntryNotFoundError":
        hub.error = errors.LocalEntryNotFoundError("hf_secret")
    elif name:
        response = SimpleNamespace(headers={}, request=None, status_code=503)
        hub.error = getattr(errors, name)("hf_secret", response=response)
    with pytest.raises(SetupError) as raised:
        catalogue.fetch(base_at("org/mine", revision="v9"))
    [problem] = raised.value.problems
    assert problem.startswith(f"base 7 org/mine: {expected}")
    assert "hf_secret" not in problem


def test_fetch_without_the_package_is_told(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "looking for it needs a package" in str(catalogue.absence(base_at("org/mine")))
    with pytest.raises(SetupError, match=r"pip install 'astria-emulator\[real\]'"):
        catalogue.fetch(base_at("org/mine"))


def test_catalogue_is_read_without_the_heavy_packages() -> None:
    script = (
        "from astria_real_backend.server_side.catalog import Catalogue\n"
        "catalogue = Catalogue.read(toy=True)\n"
        "assert catalogue.absence(catalogue.bases[690204]) is None\n"
        "import astria_real_backend.commands, sys; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True,
        check=True, text=True,
    )  # fmt: skip
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "astria_real_backend" in loaded
    heavy = {"torch", "diffusers", "transformers", "huggingface_hub", "safetensors", "numpy", "PIL"}
    assert loaded & heavy == set()


def test_hub_is_asked_without_torch() -> None:
    pytest.importorskip("huggingface_hub", reason="needs astria-emulator[real]")
    script = (
        "from astria_real_backend.server_side.catalog import Catalogue; import sys\n"
        "list(Catalogue.read().rows()); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "huggingface_hub" in loaded
    heavy = {"torch", "diffusers", "transformers", "safetensors", "numpy", "PIL"}
    assert loaded & heavy == set()
