"""Likes: feedback on pictures. A copy's like counts for the original as well."""

from astria_emulator.errors import NotFound
from astria_emulator.objects.access import own, visible
from astria_emulator.objects.results import Empty
from astria_emulator.services import Caller, Services
from astria_emulator.storage.store import Row


def like_prompt(services: Services, caller: Caller, *, id: int) -> Empty:
    return _set(services, caller, id, liked=True)


def unlike_prompt(services: Services, caller: Caller, *, id: int) -> Empty:
    return _set(services, caller, id, liked=False)


def _set(services: Services, caller: Caller, id: int, *, liked: bool) -> Empty:
    """Set or remove a like; doing so twice changes nothing."""
    with services.store.transaction():
        row = own(services, caller, "prompt", id)
        if row["liked"] is not liked:
            # Remove a like where it was counted: the original may be another one by now.
            original = row["orig_prompt_id"] if liked else row.get("like_counted_for")
            for counted in (row, _visible(services, caller, original)):
                if counted is not None:
                    count = counted.get("prompt_likes_count", 0) + (1 if liked else -1)
                    services.store.update(counted, {"prompt_likes_count": max(0, count)})
            services.store.update(row, {"liked": liked, "like_counted_for": original})
    return Empty()


def _visible(services: Services, caller: Caller, prompt_id: int | None) -> Row | None:
    try:
        return visible(services, caller, "prompt", prompt_id or 0)
    except NotFound:
        return None
