"""`mock_astria`, as a context manager and as a decorator."""

import inspect
import re
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Literal, TypeVar, overload
from unittest import TestCase

from astria_emulator.app import Emulator, create_app
from astria_emulator.clock import wire_time
from astria_emulator.config import Config
from astria_emulator.testing.intercept.handle import Astria
from astria_emulator.testing.intercept.local_outbox import LocalOutbox
from astria_emulator.testing.intercept.patches import intercepted
from astria_emulator.testing.intercept.receivers import receiver_of

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
BASE_URL = "https://api.astria.ai"
BASE = re.compile(r"https?://[^/?#@]+/?")  # the API's paths begin at the root
OTHER_HOSTS = ("pass", "refuse")
LISTS = frozenset(setting.name for setting in fields(Config) if isinstance(setting.default, tuple))

_lock = threading.Lock()
_idle: list[Emulator] = []  # applications for later mocks


@overload
def mock_astria(function: Decorated, /) -> Decorated: ...


@overload
def mock_astria(
    *,
    base_url: str = BASE_URL,
    other_hosts: Literal["pass", "refuse"] = "pass",
    deliver_to: Any = None,
    **settings: Any,
) -> "Mock": ...


def mock_astria(function: Any = None, /, **settings: Any) -> Any:
    """Answer every call to Astria within this process.

    Use it as `with mock_astria() as astria:`, or as a decorator of a function, a coroutine function
    or a class's test methods; a parameter named `astria` gets the handle. It decorates a
    `unittest.TestCase` too: it is then active from before `setUp` until after `tearDown`, with the
    handle as `self.astria`.

    base_url: the intercepted address. `other_hosts`: "pass" or "refuse". `deliver_to`: as for
    `Astria.deliver_to`. `scenario`: its name. All others are settings of the server: seed,
    idempotency, keys, train_seconds, assume; `clock` is the start of the virtual clock, a datetime
    or ISO 8601, by default now.
    Raises SetupError and TypeError.
    """
    mock = Mock(**settings)
    return mock if function is None else mock(function)


class Mock:
    """A mock with its settings; it can be entered many times, each time with a new state.

    By one thread or task at a time: others create their own mock, or use the decorator.
    """

    def __init__(
        self,
        *,
        base_url: str = BASE_URL,
        other_hosts: str = "pass",
        deliver_to: Any = None,
        **settings: Any,
    ):
        if other_hosts not in OTHER_HOSTS:
            raise TypeError(f"other_hosts={other_hosts!r}: expected 'pass' or 'refuse'")
        if not BASE.fullmatch(base_url):
            raise TypeError(f"base_url={base_url!r}: expected a base such as {BASE_URL}")
        for name in LISTS & settings.keys():
            if isinstance(settings[name], str):
                settings[name] = (settings[name],)
            settings[name] = tuple(settings[name])
        start = settings.pop("clock", "")
        self._clock = start.isoformat() if isinstance(start, datetime) else start
        self._settings = settings
        self._config()  # reports an unknown setting at once
        self._base_url, self._other_hosts, self._deliver_to = base_url, other_hosts, deliver_to
        self._local = threading.local()

    def _config(self) -> Config:
        now = wire_time(datetime.now(UTC).replace(microsecond=0))
        return Config(clock=self._clock or now, **self._settings)

    def __enter__(self) -> Astria:
        with ExitStack() as opening:
            handle = self._open(opening)
            stack = opening.pop_all()
        self._stacks.append(stack)
        return handle

    def __exit__(self, *error: Any) -> None:
        self._stacks.pop().close()

    async def __aenter__(self) -> Astria:
        return self.__enter__()

    async def __aexit__(self, *error: Any) -> None:
        self.__exit__(*error)

    def __call__(self, decorated: Decorated) -> Decorated:
        if isinstance(decorated, type) and issubclass(decorated, TestCase):
            decorated.setUp = self._before(decorated.setUp)  # type: ignore[assignment, method-assign]
            return decorated
        if isinstance(decorated, type):
            for name, method in list(vars(decorated).items()):
                if name.startswith("test") and inspect.isfunction(method):
                    setattr(decorated, name, self(method))
            return decorated
        wrapped: Decorated = self._wrapped(decorated)
        return wrapped

    @property
    def _stacks(self) -> list[ExitStack]:
        """What this thread has entered, the innermost last."""
        if not hasattr(self._local, "stacks"):
            self._local.stacks = []
        stacks: list[ExitStack] = self._local.stacks
        return stacks

    def _open(self, stack: ExitStack) -> Astria:
        outbox = LocalOutbox(None if self._deliver_to is None else receiver_of(self._deliver_to))
        app = open_application(self._config(), outbox)
        stack.callback(close_application, app)
        handle = Astria(app, outbox, base_url=self._base_url)
        stack.callback(handle.close)
        refuses = self._other_hosts == "refuse"
        stack.enter_context(intercepted(handle, refuses_others=refuses))
        return handle

    def _before(self, set_up: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a `setUp` that enters the mock first, with the handle as `self.astria`."""

        @wraps(set_up)
        def within(case: Any) -> None:
            stack = ExitStack()
            case.addCleanup(stack.close)
            case.astria = self._open(stack)
            set_up(case)

        return within

    def _wrapped(self, function: Any) -> Any:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            name = function.__qualname__  # its body would run after the mock
            raise TypeError(f"{name} is a generator: use `with mock_astria() as astria:` within it")
        signature = inspect.signature(function)
        takes = "astria" in signature.parameters

        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def within_async(*args: Any, **kwargs: Any) -> Any:
                with ExitStack() as stack:
                    handle = self._open(stack)
                    return await function(*args, **kwargs | ({"astria": handle} if takes else {}))

            wrapper: Any = within_async
        else:

            @wraps(function)
            def within(*args: Any, **kwargs: Any) -> Any:
                with ExitStack() as stack:
                    handle = self._open(stack)
                    return function(*args, **kwargs | ({"astria": handle} if takes else {}))

            wrapper = within
        # Otherwise pytest would look for a fixture of that name.
        parameters = [p for name, p in signature.parameters.items() if name != "astria"]
        wrapper.__signature__ = signature.replace(parameters=parameters)
        return wrapper


def open_application(config: Config, outbox: LocalOutbox) -> Emulator:
    """Return an application with a new state. Applications are reused: building one takes long."""
    with _lock:
        app = _idle.pop() if _idle else None
    if app is None:
        return create_app(config, outbox=outbox)
    app.open(config, outbox=outbox)
    return app


def close_application(app: Emulator) -> None:
    """Drop an application's state, and keep the application for the next mock."""
    app.close()
    del app.services
    with _lock:
        _idle.append(app)
