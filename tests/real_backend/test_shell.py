"""Training from the shell: what is written, what is told, and what is wrong."""

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image
from training import pictures_of

from astria_real_backend.__main__ import main


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for one in pictures_of("purple"):
        (folder / one.name).write_bytes(one.data)
    (folder / "0.txt").write_text("a purple sks cat")
    (folder / "notes.pdf").write_bytes(b"%PDF")
    return folder


def train(photos: Path, out: Path, *flags: str) -> Result:
    given = ["--images", str(photos), "--name", "cat", "--toy", "--out", str(out)]
    before = os.umask(0)
    try:
        return CliRunner().invoke(main, ["train", *given, *flags])
    finally:
        os.umask(before)


def test_training_writes_weights_report_plot_and_contact_sheet(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = train(photos, out, "--model-type", "lora", "--steps", "3")
    assert done.exit_code == 0, done.output
    names = {path.name for path in out.glob("[!.]*")}
    assert names == {"adapter.safetensors", "report.json", "loss.png", "contact.png"}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (out, *out.iterdir())}
    assert modes == {0o700, 0o600}
    report = json.loads((out / "report.json").read_text())
    assert (report["steps"], report["recipe"]["subject"]) == (3, "cat")
    with Image.open(out / "contact.png") as sheet:
        assert sheet.height > 5 * 160  # pictures, and two texts before and after
    assert "notes.pdf: left out: it is no picture" in done.output
    assert "0.txt: used" in done.output
    assert "3 steps, " in done.output


def test_folder_of_others_is_refused_and_left_as_it_is(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").write_text("x")
    done = train(photos, tmp_path / "out")
    assert "is not ours" in str(done.exception)
    assert (tmp_path / "out" / "report.json").read_text() == "x"


def test_drawn_pictures_take_nobodys_place(tmp_path: Path) -> None:
    (tmp_path / "2.jpg").write_text("x")
    done = CliRunner().invoke(main, ["draw", "--out", str(tmp_path)])
    assert (done.exit_code, (tmp_path / "2.jpg").read_text()) == (1, "x")
    assert "2.jpg is there already" in done.output


def test_folder_without_pictures_is_told(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"nothing")
    done = train(tmp_path / "photos", tmp_path / "out")
    assert done.exit_code == 1
    assert "None of the 1 pictures can be used" in done.output


@pytest.mark.parametrize(
    ("flags", "text"),
    [(("--base", "7"), "base 7 is not known"), (("--base", "666678"), "is of sdxl1, not of sd15")],
)
def test_base_that_cannot_be_used_is_told(
    photos: Path, tmp_path: Path, flags: tuple[str, ...], text: str
) -> None:
    done = train(photos, tmp_path / "out", *flags)
    assert done.exit_code == 1
    assert text in done.output


def test_pictures_to_train_the_toy_base_on_are_drawn(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["draw", "--out", str(tmp_path / "photos")])
    assert done.exit_code == 0, done.output
    sizes = set()
    for path in (tmp_path / "photos").iterdir():
        with Image.open(path) as picture:
            sizes.add((path.suffix, picture.size))
    assert (len([*(tmp_path / "photos").iterdir()]), sizes) == (4, {(".jpg", (256, 256))})
