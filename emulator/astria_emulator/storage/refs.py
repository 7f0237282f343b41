"""What rows are found by besides their ids: texts in their `refs`, and slugs."""

import re
from hashlib import sha256


def title_ref(title: str) -> str:
    """Of a tune."""
    return f"title:{title}"


def slug_ref(slug: str) -> str:
    """Of a pack."""
    return f"slug:{slug}"


def template_ref(pack_id: int) -> str:
    """Of a prompt that is a pack's template."""
    return f"pack:{pack_id}"


def slug_of(title: str, blank: str) -> str:
    """A title as it stands in an address; `blank` where nothing of it is left."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or blank


def base_ref(tune_id: int) -> str:
    """What the tunes that are trained on a tune are found by."""
    return f"base:{tune_id}"


def key_ref(key: str) -> str:
    """Of an account: keys are kept hashed."""
    return f"key:{sha256(key.encode()).hexdigest()}"
