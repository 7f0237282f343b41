"""One module per resource. A function's name is its operationId; there is no HTTP in them.

A handler is called as `handler(services, caller, **given)`, where `given` holds the path's
parameters by name, `query` (all parameters of the query string) and `body` where the operation has
them. It returns a row, a list of rows, plain data, an `Empty`, or nothing.
"""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

Handler = Callable[..., Any]


def all_handlers() -> dict[str, Handler]:
    """Every public function that a module of this package defines, by name."""
    found = {}
    for module in iter_modules(__path__):
        names = vars(import_module(f"{__name__}.{module.name}"))
        for name, value in names.items():
            if (
                callable(value)
                and not name.startswith("_")
                and getattr(value, "__module__", "") == f"{__name__}.{module.name}"
            ):
                found[name] = value
    return found
