"""A local emulator of Astria's fine-tuning API.

Importing it is light: names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astria_emulator.__main__ import run_command as run_command
    from astria_emulator.__main__ import serve as serve
    from astria_emulator.app import create_app as create_app
    from astria_emulator.backend import Artefact as Artefact
    from astria_emulator.backend import Backend as Backend
    from astria_emulator.backend import GenerateJob as GenerateJob
    from astria_emulator.backend import Trained as Trained
    from astria_emulator.backend import TrainJob as TrainJob
    from astria_emulator.backend import Tuned as Tuned
    from astria_emulator.config import Config as Config
    from astria_emulator.domain.picture_sizes import picture_size as picture_size
    from astria_emulator.domain.prompt_text import flags as flags
    from astria_emulator.errors import BackendError as BackendError
    from astria_emulator.errors import Cancelled as Cancelled
    from astria_emulator.errors import Closing as Closing
    from astria_emulator.errors import DiskUnavailable as DiskUnavailable
    from astria_emulator.errors import SetupError as SetupError
    from astria_emulator.errors import WorkLost as WorkLost
    from astria_emulator.errors import disk_problem as disk_problem
    from astria_emulator.mock.backend import MockBackend as MockBackend
    from astria_emulator.request.image_headers import size_of as size_of
    from astria_emulator.server.command_line import set_up_logging as set_up_logging
    from astria_emulator.storage.own_folders import TempFolder as TempFolder
    from astria_emulator.storage.own_folders import claim as claim
    from astria_emulator.storage.own_folders import erase as erase
    from astria_emulator.storage.own_folders import erase_abandoned as erase_abandoned
    from astria_emulator.storage.own_folders import move as move
    from astria_emulator.testing.intercept import Astria as Astria
    from astria_emulator.testing.intercept import mock_astria as mock_astria

_HOMES = {
    "Astria": "testing.intercept",
    "create_app": "app",
    "mock_astria": "testing.intercept",
    "Config": "config",
    "Artefact": "backend",
    "Backend": "backend",
    "GenerateJob": "backend",
    "TrainJob": "backend",
    "Trained": "backend",
    "Tuned": "backend",
    "BackendError": "errors",
    "Cancelled": "errors",
    "Closing": "errors",
    "DiskUnavailable": "errors",
    "SetupError": "errors",
    "disk_problem": "errors",
    "WorkLost": "errors",
    "TempFolder": "storage.own_folders",
    "claim": "storage.own_folders",
    "erase": "storage.own_folders",
    "erase_abandoned": "storage.own_folders",
    "move": "storage.own_folders",
    # For backends that keep the API's rules, and for commands that serve.
    "MockBackend": "mock.backend",
    "flags": "domain.prompt_text",
    "picture_size": "domain.picture_sizes",
    "run_command": "__main__",
    "serve": "__main__",
    "set_up_logging": "server.command_line",
    "size_of": "request.image_headers",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'astria_emulator' has no attribute {name!r}")
    return getattr(import_module(f"astria_emulator.{_HOMES[name]}"), name)
