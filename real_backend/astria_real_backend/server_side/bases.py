"""A base model, and the three that are known without a file."""

from dataclasses import KW_ONLY, dataclass
from pathlib import Path

TOY_FOLDER = Path(__file__).parents[1] / "toys" / "sd15"
SIDES = {"sd15": 512, "sdxl1": 1024, "flux1": 1024}  # of a family's pictures, in pixels
PRESETS = ("", "toy")
# The base of a tune that names none, as in emulator/seed.yaml.
DEFAULTS = {"sd15": 690204, "sdxl1": 666678, "flux1": 1504944}


@dataclass(frozen=True)
class Base:
    """A model that tunes start from.

    source: an id on huggingface.co, or the absolute path of a folder in diffusers' layout or of a
    single .safetensors file. revision: a branch, tag or commit of the id; None is its main branch.
    config: for a single file, a folder of that layout that has its configuration and tokenizer.
    preset: whose recipes it trains by, "" for its family's. side: pixels.
    """

    tune_id: int
    title: str
    family: str
    source: str
    _: KW_ONLY
    side: int
    revision: str | None = None
    preset: str = ""
    config: str = ""
    note: str = ""

    @property
    def is_local(self) -> bool:
        return Path(self.source).is_absolute()


BUILT_IN = (
    Base(690204, "Realistic Vision V5.1", "sd15", "SG161222/Realistic_Vision_V5.1_noVAE", side=512),
    Base(666678, "SDXL 1.0", "sdxl1", "stabilityai/stable-diffusion-xl-base-1.0", side=1024),
    Base(
        1504944, "Flux1.dev", "flux1", "black-forest-labs/FLUX.1-dev", side=1024,
        note="gated and non-commercial: read its licence before you accept it",
    ),
)  # fmt: skip
TOY = Base(690204, "Toy base", "sd15", str(TOY_FOLDER), side=64, preset="toy")
