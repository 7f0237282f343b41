"""Which base model a `base_tune_id` stands for, and whether its weights are on this machine.

Nothing here loads a model, and only `Catalogue.fetch` downloads.
"""

import json
import os
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from astria_emulator import SetupError

TOY_FOLDER = Path(__file__).parents[1] / "toys" / "sd15"
SIDES = {"sd15": 512, "sdxl1": 1024, "flux1": 1024}  # of a family's pictures, in pixels
PRESETS = ("", "toy")
# The base of a tune that names none, as in emulator/seed.yaml.
DEFAULTS = {"sd15": 690204, "sdxl1": 666678, "flux1": 1504944}
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")

INDEX = "model_index.json"  # names a pipeline's components
UNUSED = ("safety_checker", "feature_extractor")  # pipelines are loaded without them
WEIGHTLESS = re.compile("Tokenizer|Scheduler|Processor")  # classes of components
# transformers and diffusers write one of these, or an index of parts of that name.
WEIGHTS = ("model.safetensors", "diffusion_pytorch_model.safetensors")
PARTS = tuple(name.replace(".", "-?????-of-?????.") for name in WEIGHTS)
PICKLES = (".bin", ".ckpt", ".pt", ".pth")
# Without variants such as fp16, which are the same weights once more.
FETCHED = ("*.json", "*.txt", "*.model", *WEIGHTS, *PARTS)


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


@dataclass(frozen=True)
class Catalogue:
    """The base models by id, and the folder that the hub's files are kept in."""

    bases: Mapping[int, Base]
    cache: Path

    @classmethod
    def read(
        cls, path: Path | None = None, *, toy: bool = False, cache: Path | None = None
    ) -> "Catalogue":
        """The built-in models, and those of a TOML file.

        toy: the default of sd15 is the bundled toy base, whatever the file says.
        Raises SetupError.
        """
        bases = {base.tune_id: base for base in BUILT_IN}
        if path:
            bases |= read_toml(path, bases)
        if toy:
            bases[TOY.tune_id] = TOY
        return cls(dict(sorted(bases.items())), cache or hub_cache())

    def rows(self) -> Iterator[tuple[Base, str | None]]:
        """Every base by id, with why it cannot be used, if so."""
        return ((base, self.absence(base)) for base in self.bases.values())

    def absence(self, base: Base) -> str | None:
        """Why a base cannot be loaded without a network, or None where it can."""
        path = self._path(base)
        if base.is_local or path.is_dir():
            is_alone = path.is_file() and not (Path(base.config) / INDEX).is_file()
            lacking = f"config {base.config!r}: expected a folder with {INDEX}"
            return absence_of(path) or (lacking if is_alone else None)
        return f"not in {self.cache}; `astria-emulator models --fetch {base.tune_id}` gets it"

    def locate(self, base: Base) -> Path:
        """The folder or the file of a base.

        Raises LookupError, which says why it cannot be used.
        """
        if absence := self.absence(base):
            raise LookupError(f"base {base.tune_id} {base.source}: {absence}")
        return self._path(base)

    def fetch(self, base: Base) -> Path:
        """Download what is missing, with the hub's bars on standard error; returns the folder.

        Raises SetupError.
        """
        if self.absence(base) and not base.is_local:
            if reason := download(base, self.cache):
                raise SetupError("models", [f"base {base.tune_id} {base.source}: {reason}"])
        try:
            return self.locate(base)
        except LookupError as error:
            raise SetupError("models", [str(error)]) from None

    def _path(self, base: Base) -> Path:
        """Where a base is, or would be.

        In the hub's layout refs/main names the commit whose files are in snapshots/<commit>.
        """
        if base.is_local:
            return Path(base.source)
        home = self.cache / f"models--{base.source.replace('/', '--')}"
        revision = base.revision or "main"
        ref = home / "refs" / revision
        commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else revision
        return home / "snapshots" / commit


def hub_cache() -> Path:
    """Where huggingface_hub keeps files, without importing it."""
    users = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("HF_HOME", f"{users}/huggingface")
    return Path(os.path.expandvars(os.environ.get("HF_HUB_CACHE", f"{home}/hub"))).expanduser()


def is_offline() -> bool:
    """Whether the environment forbids the hub, as huggingface_hub reads it."""
    said = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return said.upper() in ("1", "ON", "YES", "TRUE")


def download(base: Base, cache: Path) -> str | None:
    """Fetch a base's configuration and safetensors from the hub; returns why it fails, if so.

    What the hub's errors say is left out: it may hold a signed address.
    """
    if is_offline():
        return "HF_HUB_OFFLINE forbids to fetch it"
    try:
        from huggingface_hub import errors, snapshot_download
    except ImportError:
        return "fetching needs a package: pip install 'astria-emulator[real]'"
    get = partial(snapshot_download, base.source, revision=base.revision, cache_dir=cache)
    try:
        found = components(Path(get(allow_patterns=[INDEX])))
        get(allow_patterns=[INDEX, *(f"{name}/{kind}" for name in found for kind in FETCHED)])
    except errors.GatedRepoError:
        return f"gated: accept its terms on https://huggingface.co/{base.source}, `hf auth login`"
    except errors.RepositoryNotFoundError:
        return "the hub has no such model, or keeps it private; a folder is written ./folder"
    except errors.RevisionNotFoundError:
        return f"revision {base.revision!r}: expected a branch, tag or commit of it"
    except errors.LocalEntryNotFoundError:
        return "the hub cannot be reached"
    except errors.HfHubHTTPError as error:
        return f"the hub answers with status {error.response.status_code}"
    except LayoutError as error:
        return str(error)
    except Exception as error:  # of whichever HTTP client the hub's version uses, or of the disk
        return f"{type(error).__name__} while it was fetched"
    return None


class LayoutError(ValueError):
    """A folder is not a pipeline in diffusers' layout."""


def components(folder: Path) -> dict[str, str]:
    """The components that a pipeline is loaded with, and their classes.

    Raises LayoutError.
    """
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        # [null, null] stands for one that the pipeline does without.
        found = {
            name: str(value[1])
            for name, value in index.items()
            if isinstance(value, list) and value[1] and name not in UNUSED
        }
    except OSError:
        raise LayoutError(f"{folder} has no {INDEX}") from None
    except (ValueError, AttributeError, IndexError):
        found = {}
    if not found:
        raise LayoutError(f"{folder / INDEX} does not name components")
    return found


def absence_of(path: Path) -> str | None:
    """What keeps a folder or a file from being loaded."""
    if path.suffix in PICKLES and not path.is_dir():
        return f"{path}: only safetensors are read, never pickle"
    if path.is_file():
        return None if path.suffix == ".safetensors" else f"{path}: expected .safetensors"
    if not path.is_dir():
        return f"{path} is not there"
    try:
        named = components(path)
    except LayoutError as error:
        return str(error)
    lacks = ((name, lack_of(path / name, kind)) for name, kind in named.items())
    found = "; ".join(f"{name} {lack}" for name, lack in lacks if lack)
    return f"{path}: {found}" if found else None


def lack_of(folder: Path, kind: str) -> str | None:
    """What a component of a class lacks."""
    names = {path.name for path in folder.iterdir() if path.exists()} if folder.is_dir() else set()
    if not names:
        return "is not there"
    if WEIGHTLESS.search(kind):
        return None
    if "config.json" not in names:
        return "has no config.json"
    if names & {*WEIGHTS}:
        return None
    for index in {f"{name}.index.json" for name in WEIGHTS} & names:
        try:
            parts = json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values()
            missing = sorted({*map(str, parts)} - names)
        except (ValueError, TypeError, KeyError, AttributeError):
            return f"has no weight_map in {index}"
        return f"has no {', '.join(missing)}" if missing else None
    if any(name.endswith(PICKLES) for name in names):
        return "has no safetensors: only safetensors are read, never pickle"
    return f"has no {' or '.join(WEIGHTS)}"


@dataclass(frozen=True)
class Key:
    """What a key of a [[base]] table takes."""

    kind: type
    expected: str
    fits: Callable[[Any], object] = bool


KEYS = {
    "tune_id": Key(int, "a whole number from 1", lambda value: value > 0),
    "title": Key(str, "text"),
    "family": Key(str, f"one of {', '.join(sorted(SIDES))}", SIDES.__contains__),
    "source": Key(str, "a hub id such as org/name, a folder or a .safetensors file"),
    "side": Key(int, "pixels, a multiple of 8", lambda value: value > 0 and value % 8 == 0),
    "revision": Key(str, "a branch, tag or commit"),
    "preset": Key(str, "'' or 'toy'", PRESETS.__contains__),
    "config": Key(str, "a folder with the configuration of a .safetensors file"),
    "note": Key(str, "text", lambda _: True),
}
REQUIRED = ("tune_id", "title", "family", "source")


def read_toml(path: Path, known: Mapping[int, Base]) -> dict[int, Base]:
    """The models of a file's [[base]] tables: new ones, and replacements of known ones.

    A replacement needs only the keys that change. Folders are relative to the file.
    Raises SetupError.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError("models", [f"{path}: cannot be read: {error.strerror}"]) from None
    except ValueError as error:
        raise SetupError("models", [f"{path}: no TOML: {error}"]) from None
    rows = document.get("base", [])
    problems = [f"key {key!r}: expected [[base]]" for key in document if key != "base"]
    if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
        raise SetupError("models", [*problems, f"base {rows!r}: expected [[base]]"])
    ids = [row["tune_id"] if type(row.get("tune_id")) is int else None for row in rows]
    for at, (tune_id, row) in enumerate(zip(ids, rows, strict=True), 1):
        where = f"base {tune_id or f'number {at}'}"
        problems += [f"{where}: {problem}" for problem in problems_of(row, known.get(tune_id or 0))]
    counts = Counter(tune_id for tune_id in ids if tune_id)
    problems += [f"base {id}: given {count} times" for id, count in counts.items() if count > 1]
    if problems:
        raise SetupError("models", problems)
    folder = path.absolute().parent
    return {row["tune_id"]: base_of(row, known.get(row["tune_id"]), folder) for row in rows}


def problems_of(row: Mapping[str, Any], old: Base | None) -> Iterator[str]:
    """All that is wrong with a table."""
    for name, value in row.items():
        if not (key := KEYS.get(name)):
            yield f"key {name!r}: expected one of {', '.join(KEYS)}"
        elif type(value) is not key.kind or not key.fits(value):  # a bool is no int here
            yield f"{name} {value!r}: expected {key.expected}"
        elif name == "family" and old and value != old.family:
            yield f"family {value!r}: expected {old.family}, whose default it is"
    for name in () if old else REQUIRED:
        if name not in row:
            yield f"{name}: missing"


def base_of(row: Mapping[str, Any], old: Base | None, folder: Path) -> Base:
    """A table's model; `folder` is where its relative paths begin."""
    if "config" in row:
        row = {**row, "config": os.path.abspath(folder / os.path.expanduser(row["config"]))}
    if old is None:
        given = {"side": SIDES[row["family"]], **row}
        return Base(**{**given, "source": located(row["source"], folder)})
    if "source" not in row:
        return replace(old, **row)
    # A revision and a note tell of the source that goes.
    given = {"revision": None, "note": "", **row}
    return replace(old, **{**given, "source": located(row["source"], folder)})


def located(source: str, folder: Path) -> str:
    """A hub id as it is, unless a folder of that name is there; else the absolute path."""
    path = folder / os.path.expanduser(source)
    is_hub_id = HUB_ID.fullmatch(source) and path.suffix != ".safetensors" and not path.exists()
    return source if is_hub_id else os.path.abspath(path)
