"""The handlers: one module per resource, one function per operation, named by its operationId.

There is no HTTP in them. A handler is called as `handler(services, caller, **arguments)`, where
`arguments` holds the path's parameters by name, and `query` (all parameters of the query string)
and `body` where the operation has them. It returns a row, a list of rows, plain data, a `Creation`,
an `Empty`, or nothing.
"""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

Handler = Callable[..., Any]


def all_handlers() -> dict[str, Handler]:
    """Return every public function that the modules of this package define, by name."""
    handlers = {}
    for module in iter_modules(__path__):
        names = vars(import_module(f"{__name__}.{module.name}"))
        for name, value in names.items():
            if (
                callable(value)
                and not name.startswith("_")
                and getattr(value, "__module__", "") == f"{__name__}.{module.name}"
            ):
                handlers[name] = value
    return handlers
