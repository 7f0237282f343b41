"""`mock_astria`: a context manager and a decorator."""

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
OTHERS = ("pass", "refuse")
LISTS = frozenset(setting.name for setting in fields(Config) if isinstance(setting.default, tuple))

_lock = threading.Lock()
_idle: list[Emulator] = []  # applications that are ready for another state


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

    `with mock_astria() as astria:`, or as a decorator of a function, a coroutine function or a
    class's test methods; a parameter named `astria` is given the handle. Of a `unittest.TestCase`
    it is a decorator too, from before `setUp` until after `tearDown`, with the handle as
    `self.astria`.

    base_url: what is intercepted. `other_hosts`: "pass" or "refuse". `deliver_to`: as
    `Astria.deliver_to`. `scenario`: a named one. All else is a setting of the server: seed,
    idempotency, keys, train_seconds, assume; `clock` is where the virtual clock begins, a
    datetime or ISO 8601, by default now.
    Raises SetupError and TypeError.
    """
    mock = Mock(**settings)
    return mock if function is None else mock(function)


class Mock:
    """One way to be set up; it can be entered again and again, each time with a new state.

    By one thread or task at a time: those that run at the same time make one each, or decorate.
    """

    def __init__(
        self,
        *,
        base_url: str = BASE_URL,
        other_hosts: str = "pass",
        deliver_to: Any = None,
        **settings: Any,
    ):
        if other_hosts not in OTHERS:
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
        self._config()  # a setting that there is not is told of at once
        self._base_url, self._other_hosts, self._deliver_to = base_url, other_hosts, deliver_to
        self._local = threading.local()

    def _config(self) -> Config:
        now = wire_time(datetime.now(UTC).replace(microsecond=0))
        return Config(clock=self._clock or now, **self._settings)

    def __enter__(self) -> Astria:
        with ExitStack() as entered:
            handle = self._open(entered)
            stack = entered.pop_all()
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
        """What this thread is to leave, the innermost last."""
        if not hasattr(self._local, "stacks"):
            self._local.stacks = []
        found: list[ExitStack] = self._local.stacks
        return found

    def _open(self, entered: ExitStack) -> Astria:
        outbox = LocalOutbox(None if self._deliver_to is None else receiver_of(self._deliver_to))
        app = opened(self._config(), outbox)
        entered.callback(closed, app)
        handle = Astria(app, outbox, base_url=self._base_url)
        entered.callback(handle.close)
        refuses = self._other_hosts == "refuse"
        entered.enter_context(intercepted(handle, refuses_others=refuses))
        return handle

    def _before(self, set_up: Callable[[Any], None]) -> Callable[[Any], None]:
        """What begins a test of `unittest`; it has the handle as `self.astria`."""

        @wraps(set_up)
        def within(case: Any) -> None:
            entered = ExitStack()
            case.addCleanup(entered.close)
            case.astria = self._open(entered)
            set_up(case)

        return within

    def _wrapped(self, function: Any) -> Any:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            name = function.__qualname__  # its body would run when the mock has been left
            raise TypeError(f"{name} is a generator: use `with mock_astria() as astria:` within it")
        signature = inspect.signature(function)
        takes = "astria" in signature.parameters

        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def within_async(*args: Any, **kwargs: Any) -> Any:
                with ExitStack() as entered:
                    handle = self._open(entered)
                    return await function(*args, **kwargs | ({"astria": handle} if takes else {}))

            wrapper: Any = within_async
        else:

            @wraps(function)
            def within(*args: Any, **kwargs: Any) -> Any:
                with ExitStack() as entered:
                    handle = self._open(entered)
                    return function(*args, **kwargs | ({"astria": handle} if takes else {}))

            wrapper = within
        # So that pytest does not look for a fixture of that name.
        left = [one for name, one in signature.parameters.items() if name != "astria"]
        wrapper.__signature__ = signature.replace(parameters=left)
        return wrapper


def opened(config: Config, outbox: LocalOutbox) -> Emulator:
    """An application with a new state. To make one takes long, so that they are used again."""
    with _lock:
        app = _idle.pop() if _idle else None
    if app is None:
        return create_app(config, outbox=outbox)
    app.open(config, outbox=outbox)
    return app


def closed(app: Emulator) -> None:
    """Keep an application for the next mock, without its state."""
    app.close()
    del app.services
    with _lock:
        _idle.append(app)
