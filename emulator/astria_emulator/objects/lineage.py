"""The ancestry of tunes and prompts, and what a backend is given of it.

A tune is a checkpoint (a whole model) or an adapter (a LoRA, a textual inversion, a FaceID), which
works on a checkpoint only. Five ids tell what is made on what:

- a tune's `base_tune_id`: the tune that the request named to train on, or None. It may be a tune of
  the caller's, and an adapter.
- a tune's `home_base_id`: the checkpoint that an adapter's prompts are made on. It is the base; or,
  where the base is an adapter itself, the base's own `home_base_id`. The gallery's name themselves.
- a tune's `root_base_id`: the gallery's tune at the root, below all tunes of the caller's. It says
  which model a backend loads. Rows of earlier versions lack it: there `home_base_id` is the root.
- a prompt's `home_tune_id`: the tune that it was posted under.
- a prompt's `tune_id`, which the wire shows: the checkpoint that it is made on. It is that tune; or
  where that is an adapter, its `home_base_id`, and the prompt's text names the adapter.
"""

from astria_emulator.backend import Artefact, Tuned
from astria_emulator.errors import BackendError
from astria_emulator.objects.removal import weight_keys
from astria_emulator.services import Services
from astria_emulator.storage.store import Row


def base_of(services: Services, row: Row) -> Row | None:
    """Return the tune that a tune names as its base.

    Raises BackendError where it was deleted.
    """
    base_id = row.get("base_tune_id")
    base = services.store.get("tune", base_id) if base_id else None
    if base_id and base is None:
        raise BackendError(f"Tune {base_id}, its base, was deleted.")
    return base


def root_base(row: Row) -> int:
    """Return the id of the gallery tune below all of a tune's ancestors."""
    root: int = row.get("root_base_id") or row["home_base_id"]
    return root


def home_of(services: Services, tune_id: int) -> Row:
    """Return the tune that another tune, or a prompt, is based on.

    Raises BackendError where it was deleted.
    """
    row = services.store.get("tune", tune_id)
    if row is None:
        raise BackendError(f"Tune {tune_id}, the base, was deleted.")
    return row


def own_tune(services: Services, row: Row) -> Tuned | None:
    """Return an account's tune for a backend; None for a gallery tune."""
    return tuned(services, row) if row.owner is not None else None


def tuned(services: Services, row: Row) -> Tuned:
    """Return a tune with its weights for a backend: as paths where they are on disk."""
    files = [file for key in weight_keys(row) if (file := services.files.get(key))]
    return Tuned(
        tune_id=row.id,
        model_type=row["model_type"],
        token=row["token"],
        files=[Artefact(file.content_type, file.path or file.content) for file in files],
    )


def needed_tunes(services: Services, prompt: Row) -> list[Row]:
    """Return the tunes that a prompt uses."""
    ids = [ref for ref in prompt.refs if isinstance(ref, int)]
    return [tune for id in ids if (tune := services.store.get("tune", id))]
