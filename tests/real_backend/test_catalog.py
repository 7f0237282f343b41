"""Base models: what a TOML file says, what is on this machine, and what is fetched."""

import json
from pathlib import Path
from typing import Any

import pytest

from astria_emulator import SetupError
from astria_emulator.domain.gallery import load_gallery
from astria_real_backend.server_side.bases import DEFAULTS, TOY_FOLDER, Base
from astria_real_backend.server_side.catalog import Catalogue
from tests.real_backend.model_folders import (
    ROW,
    UNET,
    Write,
    base_at,
    write_pipeline,
)


def problems_of(path: Path) -> list[str]:
    with pytest.raises(SetupError) as raised:
        Catalogue.read(path)
    return list(raised.value.problems)


def test_defaults_are_those_of_the_emulator(catalogue: Catalogue) -> None:
    gallery = load_gallery()
    assert {family: gallery.default_base[family] for family in DEFAULTS} == DEFAULTS
    titles = {tune["id"]: tune["title"] for tune in gallery.tunes}
    for family, tune_id in DEFAULTS.items():
        assert catalogue.bases[tune_id].family == family
        assert catalogue.bases[tune_id].title == titles[tune_id]


def test_toy_is_the_default_of_sd15_whatever_the_file_says(toml: Write) -> None:
    path = toml('[[base]]\ntune_id = 690204\nsource = "org/other"')
    toy = Catalogue.read(path, toy=True).bases[690204]
    assert (toy.source, toy.preset, toy.side) == (str(TOY_FOLDER), "toy", 64)
    assert Catalogue.read(path).bases[690204].source == "org/other"


def test_file_adds_a_model(toml: Write) -> None:
    path = toml(
        '[[base]]\ntune_id = 9\ntitle = "Mine"\nfamily = "sdxl1"\nsource = "org/mine"\n'
        'revision = "v2"\npreset = "toy"\nnote = "slow"'
    )
    expected = Base(
        9, "Mine", "sdxl1", "org/mine", side=1024, revision="v2", preset="toy", note="slow"
    )
    found = Catalogue.read(path).bases
    assert list(found) == [9, 666678, 690204, 1504944]
    assert found[9] == expected


def test_replacement_keeps_what_it_leaves_out(toml: Write) -> None:
    path = toml('[[base]]\ntune_id = 1504944\nside = 768\n[[base]]\ntune_id = 690204\ntitle = "A"')
    found = Catalogue.read(path).bases
    assert (found[1504944].side, found[1504944].title) == (768, "Flux1.dev")
    assert (found[690204].side, found[690204].title) == (512, "A")


def test_new_source_has_no_note_of_the_old_one(toml: Write) -> None:
    path = toml('[[base]]\ntune_id = 1504944\nsource = "org/other"')
    assert Catalogue.read(path).bases[1504944].note == ""


@pytest.mark.parametrize(
    ("source", "there", "expected"),
    [
        ("org/name", None, "org/name"),
        ("org/name", "org/name", "{folder}/org/name"),
        ("./org/name", None, "{folder}/org/name"),
        ("../name", None, "{parent}/name"),
        ("name", None, "{folder}/name"),
        ("org/name.safetensors", None, "{folder}/org/name.safetensors"),
        ("/srv/name", None, "/srv/name"),
        ("~/name", None, "/home/jane/name"),
    ],
)
def test_source_is_on_the_hub_or_beside_the_file(
    toml: Write, monkeypatch: pytest.MonkeyPatch, source: str, there: str | None, expected: str
) -> None:
    monkeypatch.setenv("HOME", "/home/jane")
    path = toml(f'[[base]]\ntune_id = 690204\nsource = "{source}"')
    if there:
        (path.parent / there).mkdir(parents=True)
    base = Catalogue.read(path).bases[690204]
    assert base.source == expected.format(folder=path.parent, parent=path.parent.parent)
    assert base.is_local == (expected != "org/name")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1", ["key 'a': expected [[base]]"]),
        ("base = 1", ["base 1: expected [[base]]"]),
        ("base = [1]", ["base [1]: expected [[base]]"]),
        (
            "[[base]]\ntune_id = 9",
            ["base 9: title: missing", "base 9: family: missing", "base 9: source: missing"],
        ),
        (f"[[base]]\n{ROW}sise = 64", ["base 9: key 'sise': expected one of tune_id, title"]),
        (f"[[base]]\n{ROW}side = '64'", ["base 9: side '64': expected pixels, a multiple of 8"]),
        (f"[[base]]\n{ROW}side = true", ["base 9: side True: expected pixels"]),
        (f"[[base]]\n{ROW}side = 63", ["base 9: side 63: expected pixels, a multiple of 8"]),
        (f"[[base]]\n{ROW}side = 0", ["base 9: side 0: expected pixels"]),
        (f"[[base]]\n{ROW}preset = 'big'", ["base 9: preset 'big': expected '' or 'toy'"]),
        (f"[[base]]\n{ROW}revision = ''", ["base 9: revision '': expected a branch"]),
        (
            "[[base]]\ntune_id = 0\ntitle = ''\nfamily = 'sd3'\nsource = ['a']",
            [
                "base number 1: tune_id 0: expected a whole number from 1",
                "base number 1: title '': expected text",
                "base number 1: family 'sd3': expected one of flux1, sd15, sdxl1",
                "base number 1: source ['a']: expected a hub id",
            ],
        ),
        (
            f"[[base]]\n{ROW}".replace("= 9", "= [1]"),
            ["base number 1: tune_id [1]: expected a whole number"],
        ),
        (
            "[[base]]\ntune_id = 690204\nfamily = 'sdxl1'",
            ["base 690204: family 'sdxl1': expected sd15, whose default it is"],
        ),
        (f"[[base]]\n{ROW}[[base]]\n{ROW}", ["base 9: given 2 times"]),
        (
            f"[[base]]\n{ROW}side = 1\n[[base]]\n{ROW}side = 2",
            ["base 9: side 1", "base 9: side 2", "base 9: given 2 times"],
        ),
    ],
)
def test_all_that_is_wrong_in_a_file_is_told_at_once(
    toml: Write, text: str, expected: list[str]
) -> None:
    for found, beginning in zip(problems_of(toml(text)), expected, strict=True):
        assert found.startswith(beginning)


def test_file_that_cannot_be_read_is_told(toml: Write, tmp_path: Path) -> None:
    assert problems_of(tmp_path / "no.toml")[0].endswith(
        "cannot be read: No such file or directory"
    )
    assert "no TOML" in problems_of(toml("[[base"))[0]
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'title = "\xe9"')
    assert "no TOML" in problems_of(latin)[0]


def test_whole_folder_is_there(catalogue: Catalogue, tmp_path: Path) -> None:
    base = base_at(write_pipeline(tmp_path / "whole"))
    assert catalogue.absence(base) is None
    assert catalogue.locate(base) == tmp_path / "whole"


@pytest.mark.parametrize(
    ("without", "more", "expected"),
    [
        ((UNET,), (), "unet has no model.safetensors or diffusion_pytorch_model.safetensors"),
        ((UNET,), ("unet/diffusion_pytorch_model.bin",), "only safetensors are read, never pickle"),
        ((UNET,), ("unet/diffusion_pytorch_model.fp16.safetensors",), "unet has no model.safete"),
        (("unet/config.json",), (), "unet has no config.json"),
        (("unet/config.json", UNET), (), "unet is not there"),
        (("scheduler/scheduler_config.json",), (), "scheduler is not there"),
    ],
)
def test_folder_that_lacks_something_is_not_there(
    catalogue: Catalogue, tmp_path: Path, without: Any, more: Any, expected: str
) -> None:
    base = base_at(write_pipeline(tmp_path / "part", without=without, more=more))
    assert expected in str(catalogue.absence(base))
    with pytest.raises(LookupError, match=r"base 7 .*part"):
        catalogue.locate(base)


def test_weights_in_parts_are_there_when_all_parts_are(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    parts = [f"diffusion_pytorch_model-0000{at}-of-00002.safetensors" for at in (1, 2)]
    folder = write_pipeline(tmp_path / "parts", without=(UNET,), more=[f"unet/{parts[0]}"])
    index = {"weight_map": {"conv_in.weight": parts[0], "conv_out.weight": parts[1]}}
    (folder / f"{UNET}.index.json").write_text(json.dumps(index))
    assert str(catalogue.absence(base_at(folder))).endswith(f"unet has no {parts[1]}")
    (folder / "unet" / parts[1]).touch()
    assert catalogue.absence(base_at(folder)) is None
    (folder / f"{UNET}.index.json").write_text("[]")
    assert "has no weight_map" in str(catalogue.absence(base_at(folder)))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"unet": []}', '{"unet": [null, null]}'])
def test_folder_whose_index_names_nothing_is_not_there(
    catalogue: Catalogue, tmp_path: Path, text: str
) -> None:
    (tmp_path / "model_index.json").write_text(text)
    assert "does not name components" in str(catalogue.absence(base_at(tmp_path)))
