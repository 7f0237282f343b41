"""Views for tests: tunes, prompts and callbacks as they are now."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from astria_emulator.objects import presentation
from astria_emulator.services import Services
from astria_emulator.storage.store import Row


@dataclass(frozen=True)
class Tune:
    """A tune. `state`: queued, training, trained, failed or expired.

    `fields`: all fields as the API names them. `failure`: why training failed.
    """

    id: int
    title: str
    name: str
    branch: str
    model_type: str | None
    state: str
    created_at: datetime
    trained_at: datetime | None
    expires_at: datetime | None
    callback: str | None
    images: Sequence[str]
    failure: str | None
    fields: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, services: Services, row: Row) -> "Tune":
        shown = presentation.tune(services, row)
        return cls(**_named(cls, shown), images=shown["orig_images"], fields=shown)


@dataclass(frozen=True)
class Prompt:
    """A prompt. `state`: waiting, queued, generating, finished or failed.

    `images`: addresses. `fields`: all fields as the API names them.
    """

    id: int
    tune_id: int
    text: str
    num_images: int
    state: str
    created_at: datetime
    trained_at: datetime | None
    callback: str | None
    images: Sequence[str]
    user_error: str | None
    fields: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, services: Services, row: Row) -> "Prompt":
        shown = presentation.prompt(services, row)
        return cls(**_named(cls, shown), images=shown["images"], fields=shown)


@dataclass(frozen=True)
class Callback:
    """A callback. `state`: recorded, delivered, failed, dropped or unknown.

    object: tune, prompt or run, and `object_id` its id. `status`: what the receiver answered.
    `fault`: the fault that was injected.
    """

    id: int
    at: datetime
    object: str
    object_id: int
    url: str
    body: Any
    state: str
    status: int | None
    error: str | None
    fault: str | None
    _deliver: Callable[[int, Any], "Callback"] = field(repr=False, compare=False)

    def deliver(self, receiver: Any = None) -> "Callback":
        """Send it now, or again, to a WSGI or ASGI application or a base address.

        Without a receiver it goes to the one of `Astria.deliver_to`. Returns the result.
        """
        return self._deliver(self.id, receiver)


def _named(view: type[Tune | Prompt], shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object's fields that the view names."""
    names = {field.name for field in fields(view)} - {"images", "fields"}
    return {name: shown.get(name) for name in names}
