"""Models of huggingface.co: whether one is in the cache and whole, and how it is fetched.

Where the cache is and how it is laid out, huggingface_hub knows; it is imported when it is asked.
Nothing here loads a model.
"""

import json
import re
from functools import partial
from pathlib import Path

from astria_real_backend.server_side.bases import Base

NEEDS = "needs a package: pip install 'astria-emulator[real]'"
INDEX = "model_index.json"  # names a pipeline's components
UNUSED = ("safety_checker", "feature_extractor")  # pipelines are loaded without them
WEIGHTLESS = re.compile("Tokenizer|Scheduler|Processor")  # classes of components
# transformers and diffusers write one of these, or an index of parts of that name.
WEIGHT_FILES = ("model.safetensors", "diffusion_pytorch_model.safetensors")
SHARDS = tuple(name.replace(".", "-?????-of-?????.") for name in WEIGHT_FILES)
PICKLES = (".bin", ".ckpt", ".pt", ".pth")
# Without variants such as fp16, which are the same weights once more.
FETCHED = ("*.json", "*.txt", "*.model", *WEIGHT_FILES, *SHARDS)


def cache_folder() -> Path:
    """Where huggingface_hub keeps files.

    Raises ImportError without it.
    """
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def cached_folder(base: Base, cache: Path | None) -> Path | None:
    """The folder of a base's files in the cache, or None where nothing of it is there.

    cache: None for `cache_folder`.
    Raises ImportError without huggingface_hub.
    """
    from huggingface_hub import errors, snapshot_download

    try:
        folder = snapshot_download(
            base.source, revision=base.revision, cache_dir=cache, local_files_only=True
        )
    except (errors.LocalEntryNotFoundError, errors.HFValidationError):
        return None
    return Path(folder)


def download(base: Base, cache: Path | None) -> str | None:
    """Fetch a base's configuration and safetensors from the hub; returns why it fails, if so.

    What the hub's errors say is left out: it may hold a signed address.
    """
    try:
        from huggingface_hub import constants, errors, snapshot_download
    except ImportError:
        return f"fetching {NEEDS}"
    if constants.is_offline_mode():
        return "HF_HUB_OFFLINE forbids to fetch it"
    get = partial(snapshot_download, base.source, revision=base.revision, cache_dir=cache)
    try:
        names = components(Path(get(allow_patterns=[INDEX])))
        get(allow_patterns=[INDEX, *(f"{name}/{kind}" for name in names for kind in FETCHED)])
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
        classes = {
            name: str(value[1])
            for name, value in index.items()
            if isinstance(value, list) and value[1] and name not in UNUSED
        }
    except OSError:
        raise LayoutError(f"{folder} has no {INDEX}") from None
    except (ValueError, AttributeError, IndexError):
        classes = {}
    if not classes:
        raise LayoutError(f"{folder / INDEX} does not name components")
    return classes


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
    lacks = ((name, missing_from(path / name, kind)) for name, kind in named.items())
    problems = "; ".join(f"{name} {lack}" for name, lack in lacks if lack)
    return f"{path}: {problems}" if problems else None


def missing_from(folder: Path, kind: str) -> str | None:
    """What a component of a class lacks."""
    names = {path.name for path in folder.iterdir() if path.exists()} if folder.is_dir() else set()
    if not names:
        return "is not there"
    if WEIGHTLESS.search(kind):
        return None
    if "config.json" not in names:
        return "has no config.json"
    if names & {*WEIGHT_FILES}:
        return None
    for index in {f"{name}.index.json" for name in WEIGHT_FILES} & names:
        try:
            parts = json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values()
            missing = sorted({*map(str, parts)} - names)
        except (ValueError, TypeError, KeyError, AttributeError):
            return f"has no weight_map in {index}"
        return f"has no {', '.join(missing)}" if missing else None
    if any(name.endswith(PICKLES) for name in names):
        return "has no safetensors: only safetensors are read, never pickle"
    return f"has no {' or '.join(WEIGHT_FILES)}"
