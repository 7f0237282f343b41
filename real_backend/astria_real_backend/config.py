"""What a training or a generation is asked to do, in the papers' words, and the preset table.

Plain values: they travel to the process that works, and into the metadata of what it makes.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

NAMES = "names.json"  # beside pictures that are numbered: what they were called
METHODS: Mapping[str | None, str] = {None: "checkpoint", "lora": "lora", "pti": "pti"}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a method trains.

    Rates are those of AdamW; steps are `steps_per_image` for each picture, within two bounds.
    A rate of zero leaves that part as it is.
    """

    steps_per_image: int
    fewest_steps: int
    most_steps: int
    batch: int
    unet_rate: float
    text_rate: float = 0.0
    token_rate: float = 0.0
    tokens: int = 0  # new words for the subject
    token_share: float = 1.0  # of the steps, after which the new words stay as they are
    rank: int = 0  # of adapters; their alpha is the same
    convolutions: bool = False  # whether adapters are on them too, besides attention and MLPs
    decay: str = "constant"  # of the rates: constant or cosine
    warm_up: int = 10  # steps
    weight_decay: float = 1e-2
    clip: float = 1.0  # norm of the gradient
    snr_gamma: float = 5.0
    noise_offset: float = 0.02
    prior_weight: float = 0.0  # of the loss on class pictures, drawn by the base itself
    prior_pictures: int = 0
    prior_steps: int = 25  # to make one
    face_weight: float = 1.0  # of the loss within a face's box; 1 elsewhere

    def steps_for(self, pictures: int, asked: int | None, bound: int) -> int:
        """Steps that were asked for, or by the number of pictures; bound: 0 for none."""
        by_pictures = max(self.fewest_steps, self.steps_per_image * pictures)
        steps = asked or min(by_pictures, self.most_steps)
        return min(steps, bound) if bound else steps


# Where the numbers come from: ours, from what others publish, and to be settled on a GPU, unless
# said. min-SNR: Hang et al. 2023, arXiv:2303.09556. Noise offset: crosslabs.org, 2023-01-30.
PRESETS: Mapping[tuple[str, str], Recipe] = {
    # diffusers' DreamBooth page: 5e-6 with batch 1, text encoder 2e-6, prior 1.0, 200 pictures;
    # huggingface.co/blog/dreambooth: faces learn with the text encoder, 800 to 1200 steps of 2.
    ("sd15", "checkpoint"): Recipe(
        steps_per_image=30, fewest_steps=300, most_steps=600, batch=4, unet_rate=4e-6,
        text_rate=2e-6, decay="cosine", prior_weight=1.0, prior_pictures=200
    ),
    # OneTrainer 3e-4 with rank 16; cloneofsimo/lora: text 5e-5 (between its 1e-5 and 5e-4).
    ("sd15", "lora"): Recipe(
        steps_per_image=40, fewest_steps=300, most_steps=800, batch=4, unet_rate=3e-4,
        text_rate=5e-5, rank=16, face_weight=2.0
    ),
    # cog-sdxl: two tokens, 32 or 16 ranks; Eden: tokens 1e-3, frozen after 60 to 70 % of the steps.
    ("sd15", "pti"): Recipe(
        steps_per_image=40, fewest_steps=300, most_steps=800, batch=4, unet_rate=2e-4,
        token_rate=1e-3, tokens=2, token_share=0.6, rank=16, face_weight=2.0
    ),
    # The bundled toy base; what they reach on it: tests/real_backend/test_learning.py.
    ("toy", "checkpoint"): Recipe(
        steps_per_image=30, fewest_steps=100, most_steps=240, batch=4, unet_rate=3e-3,
        text_rate=1e-3, decay="cosine", noise_offset=0.6,
        prior_weight=1.0, prior_pictures=16, prior_steps=12,
    ),
    ("toy", "lora"): Recipe(
        steps_per_image=30, fewest_steps=100, most_steps=240, batch=4, unet_rate=4e-3,
        text_rate=1e-3, rank=8, convolutions=True, noise_offset=0.4
    ),
    ("toy", "pti"): Recipe(
        steps_per_image=30, fewest_steps=100, most_steps=240, batch=4, unet_rate=4e-3,
        token_rate=2e-2, tokens=2, token_share=0.6, rank=8,
        convolutions=True, noise_offset=0.4,
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BaseFiles:
    """The model that is trained or drawn with.

    folder: in diffusers' layout; `checkpoint` is a single file of weights in their place.
    side: pixels; `bucket_step`: sides of training pictures are multiples of it.
    """

    tune_id: int
    family: str
    preset: str
    folder: str
    side: int
    bucket_step: int
    checkpoint: str | None = None


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training. `subject` is its class; `former` are files of an adapter to go on from."""

    tune_id: int
    base: BaseFiles
    method: str
    subject: str
    token: str
    recipe: Recipe
    steps: int | None = None
    most_steps: int = 0  # whatever was asked for; 0 for no bound
    seed: int = 42
    face_crop: bool = False
    restorer: str | None = None
    former: tuple[str, ...] = ()
    keeps_classes: bool = True  # class pictures for others; not those of somebody's own model
    checkpoint_every: int = 25  # steps
    threads: int = 1
    device: str = "cpu"
    most_megapixels: int = 100

    @property
    def prompt(self) -> str:
        """The caption of every picture of the subject that has none of its own."""
        return f"photo of {self.token} {self.subject}"

    @property
    def class_prompt(self) -> str:
        return f"photo of a {self.subject}"


@dataclass(frozen=True)
class Adapter:
    """A tune that a picture is made with: its files, and what its text calls the subject."""

    tune_id: int
    files: tuple[str, ...]
    scale: float
    token: str | None = None


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """Pictures of one text. Picture number n is made from `seed` + n."""

    base: BaseFiles
    prompt: str
    seed: int
    pictures: int
    width: int
    height: int
    negative_prompt: str = ""
    steps: int = 30
    guidance_scale: float = 7.5
    scheduler: str = "euler_a"  # docs/api/1-prompt/1-create.md, 2026-08-21
    adapters: tuple[Adapter, ...] = ()
    output_size: tuple[int, int] | None = None  # that pictures are enlarged to
    threads: int = 1
    device: str = "cpu"


def as_plain(config: TrainConfig | SampleConfig) -> dict[str, Any]:
    """What JSON can hold."""
    return asdict(config)


def read_train(plain: Mapping[str, Any]) -> TrainConfig:
    nested = {"base": BaseFiles(**plain["base"]), "recipe": Recipe(**plain["recipe"])}
    return TrainConfig(**{**plain, **nested, "former": tuple(plain["former"])})


def read_sample(plain: Mapping[str, Any]) -> SampleConfig:
    adapters = tuple(Adapter(**{**one, "files": tuple(one["files"])}) for one in plain["adapters"])
    shown = tuple(plain["output_size"]) if plain["output_size"] else None
    nested = {"base": BaseFiles(**plain["base"]), "adapters": adapters, "output_size": shown}
    return SampleConfig(**{**plain, **nested})


def preset(base: BaseFiles, method: str) -> Recipe:
    """The recipe of a method on a base.

    Raises LookupError.
    """
    recipe = PRESETS.get((base.preset or base.family, method))
    if recipe is None:
        raise LookupError(f"{base.family} has no recipe for {method}")
    return recipe
