"""A local emulator of Astria's fine-tuning API.

Importing it is light: names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.app import create_app as create_app
    from emulator.backend import Artefact as Artefact
    from emulator.backend import Backend as Backend
    from emulator.backend import GenerateJob as GenerateJob
    from emulator.backend import TrainJob as TrainJob
    from emulator.config import Config as Config
    from emulator.errors import BackendError as BackendError

_HOMES = {
    "create_app": "app",
    "Config": "config",
    "Artefact": "backend",
    "Backend": "backend",
    "GenerateJob": "backend",
    "TrainJob": "backend",
    "BackendError": "errors",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'emulator' has no attribute {name!r}")
    return getattr(import_module(f"emulator.{_HOMES[name]}"), name)
