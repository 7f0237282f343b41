"""Training from the shell: progress bars, the plot of the loss, and the contact sheet."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from tqdm import tqdm

from astria_emulator import claim, erase
from astria_real_backend.config import Adapter, BaseFiles, SampleConfig, TrainConfig
from astria_real_backend.training import checkpoint
from astria_real_backend.training.branches.libraries import silence_libraries
from astria_real_backend.training.photos import Source
from astria_real_backend.training.sample import sample
from astria_real_backend.training.tuning import BranchCache, tune

TILE = 160  # pixels of a picture on a contact sheet
LABEL = 18
TEXTS = ("photo of {token} {name}", "photo of {token} {name} in a garden")


class Bars:
    """One bar for each phase of the work."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._phase = ""

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def report(self, progress: Mapping[str, Any]) -> bool:
        """Show progress; the work calls this, and is never asked to stop."""
        phase = progress["phase"]
        if phase != self._phase:
            self.close()
            self._phase = phase
            self._bar = tqdm(total=progress.get("steps"), desc=phase, leave=phase == "training")
        if "step" in progress:
            self._bar.total = progress["steps"]
            self._bar.update(progress["step"] - self._bar.n)
        if "loss" in progress:
            self._bar.set_postfix(loss=progress["loss"], memory=f"{progress['memory_mb']} MB")
        return True


def train_folder(
    config: TrainConfig, images: Path, out: Path, *, prompt: str | None, pictures: int, bars: Bars
) -> Mapping[str, Any]:
    """Train on a folder's pictures, and write everything to `out`; returns the report.

    Raises tuning.Unusable.
    """
    silence_libraries()
    files = sorted(path for path in images.iterdir() if path.is_file())
    sources = [Source(path.name, path.read_bytes()) for path in files]
    texts = [prompt] if prompt else [*TEXTS]
    texts = [text.format(token=config.token, name=config.subject) for text in texts]
    cache = BranchCache()
    requests = [sample_config(config, text, pictures // len(texts)) for text in texts]
    before = [draw(cache, request, bars) for request in requests]
    # Class pictures are kept for the next time.
    classes = Path(tempfile.gettempdir()) / "astria-class-pictures"
    claim(classes, "the folder of class pictures")
    outcome = tune(cache, config, sources, folder=out, classes_folder=classes, report=bars.report)
    erase(out / checkpoint.NAME)
    after = [draw(cache, with_tune(request, config, outcome.files), bars) for request in requests]
    (out / "report.json").write_text(json.dumps(outcome.report, indent=1, sort_keys=True) + "\n")
    plot_loss(outcome.report["losses"], out / "loss.png")
    used = {image["name"] for image in outcome.report["images"] if image["crops"]}
    rows = {"training pictures": [read_rgb(path) for path in files if path.name in used]}
    for text, untrained, trained in zip(texts, before, after, strict=True):
        rows |= {f"before: {text}": untrained, f"after: {text}": trained}
    contact_sheet(rows).save(out / "contact.png")
    return outcome.report


def read_rgb(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


def sample_config(config: TrainConfig, text: str, pictures: int) -> SampleConfig:
    side = config.base.side
    return SampleConfig(
        base=config.base, prompt=text, seed=config.seed, pictures=pictures, width=side,
        height=side, threads=config.threads, device=config.device,
    )  # fmt: skip


def with_tune(request: SampleConfig, config: TrainConfig, files: Sequence[Path]) -> SampleConfig:
    """The same pictures with what was trained."""
    if config.method == "checkpoint":
        base: BaseFiles = replace(config.base, checkpoint=str(files[0]))
        return replace(request, base=base)
    adapter = Adapter(config.tune_id, tuple(map(str, files)), 1.0, config.token)
    return replace(request, adapters=(adapter,))


def draw(cache: BranchCache, request: SampleConfig, bars: Bars) -> list[Image.Image]:
    branch = cache.load(request.base, request.device, request.threads)
    return sample(branch, request, bars.report)


def plot_loss(losses: Sequence[float], path: Path) -> None:
    """The loss of each step, and its running mean."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    window = max(1, len(losses) // 20)
    means = [
        sum(losses[max(0, at - window + 1) : at + 1]) / min(window, at + 1)
        for at in range(len(losses))
    ]
    axes.plot(losses, color="0.8", linewidth=0.8, label="each step")
    axes.plot(means, color="tab:blue", label=f"mean of {window}")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def contact_sheet(rows: Mapping[str, Sequence[Image.Image]]) -> Image.Image:
    """Rows of pictures under their titles."""
    across = max(len(pictures) for pictures in rows.values())
    sheet = Image.new("RGB", (across * (TILE + 4) + 4, len(rows) * (TILE + LABEL + 6)), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (title, pictures) in enumerate(rows.items()):
        top = row * (TILE + LABEL + 6)
        pen.text((6, top + 4), title, fill="black")
        for column, picture in enumerate(pictures):
            tile = picture.convert("RGB")
            scale = TILE / max(tile.size)
            size = (max(1, round(tile.width * scale)), max(1, round(tile.height * scale)))
            smooth = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
            sheet.paste(tile.resize(size, smooth), (4 + column * (TILE + 4), top + LABEL))
    return sheet
