"""The texts in the `refs` of rows, by which they are found besides their ids; and slugs."""

import re
from hashlib import sha256

ENDED = "ended"  # the ref of the deliveries that have ended


def title_ref(title: str) -> str:
    """Return the ref of a tune by its title."""
    return f"title:{title}"


def slug_ref(slug: str) -> str:
    """Return the ref of a pack by its slug."""
    return f"slug:{slug}"


def template_ref(pack_id: int) -> str:
    """Return the ref of a pack's templates."""
    return f"pack:{pack_id}"


def slug_of(title: str, blank: str) -> str:
    """Return a title in the form that addresses use; `blank` where nothing is left of it."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or blank


def base_ref(tune_id: int) -> str:
    """Return the ref of the tunes that are trained on a tune."""
    return f"base:{tune_id}"


def key_ref(key: str) -> str:
    """Return the ref of an account by its key, of which only a hash is stored."""
    return f"key:{sha256(key.encode()).hexdigest()}"
