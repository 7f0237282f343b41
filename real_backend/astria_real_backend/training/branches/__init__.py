"""The families of models that can be trained: one module each, found by its name."""

from collections.abc import Mapping
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from astria_real_backend.config import BaseFiles

if TYPE_CHECKING:
    from astria_real_backend.training.branches.branch import Branch

# The API's word for a family -> its class. A class is imported when a base is loaded: the server
# reads the names, and never loads torch.
BRANCHES: Mapping[str, str] = {
    "sd15": "astria_real_backend.training.branches.sd15:StableDiffusion15",
}


def load_branch(base: BaseFiles, device: str) -> "Branch":
    """Load a base onto a device, `cpu` or `cuda:N`.

    Raises LookupError for a family that cannot be trained, and OSError for files that are missing.
    """
    if base.family not in BRANCHES:
        raise LookupError(f"family {base.family!r}: expected one of {', '.join(BRANCHES)}")
    branch: Branch = resolve_name(BRANCHES[base.family])(base, device)
    return branch
