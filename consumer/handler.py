"""Handler: the function that gets each message. The second of the two extension points."""

import errno
import inspect
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import structlog

from common.message import Message
from common.plugins import ConfigError, is_any, is_context, load_callable, makes_context
from consumer.settings import ConsumerSettings

log = structlog.get_logger()
UNSTARTED = (inspect.isgeneratorfunction, inspect.isasyncgenfunction)
MOST_THREADS = 256  # a container of Compose may have 300
MAX_BODY_LOGGED = 200  # characters
MOVES_MAX = 3  # times that a file may be moved while one message is written to it


Handle = Callable[[Message], Any]
"""What gets each message; of an `async def` the call makes a coroutine."""


def is_async(handle: Handle) -> bool:
    """Whether a call makes a coroutine."""
    return is_any(handle, (inspect.iscoroutinefunction,))


class SetUp(NamedTuple):
    """A handler that a context manager gives: entered before the first message, left after the last handler."""

    name: str
    context: AbstractContextManager[Handle] | AbstractAsyncContextManager[Handle]
    wrap: Callable[[Handle], Handle] = lambda handle: handle  # such as with a span

    @property
    def on_loop(self) -> bool:
        """An async context manager is entered on an event loop, and its handler runs there."""
        return hasattr(self.context, "__aenter__")

    def opened(self, handle: Handle) -> Handle:
        """What the context manager gave. Raises ConfigError if it is no handler, or one of the other kind."""
        wanted = "an async function" if self.on_loop else "a plain function"
        if not callable(handle) or inspect.isclass(handle) or is_any(handle, UNSTARTED):
            raise ConfigError(f"{self.name} gave {handle!r:.100}, which is no handler: yield {wanted}")
        if is_async(handle) != self.on_loop:
            raise ConfigError(
                f"{self.name} yields the other kind of handler: an async context manager yields an async "
                "function, a plain one a plain function"
            )
        return self.wrap(handle)


def runs_on_loop(handle: Handle | SetUp) -> bool:
    """Whether it needs an event loop."""
    return handle.on_loop if isinstance(handle, SetUp) else is_async(handle)


def open_handler(settings: ConsumerSettings) -> Handle | SetUp:
    """The handler that CONSUMER_HANDLER names, or what sets it up. Raises ConfigError, a sentence for people."""
    handle = _find(settings)
    if settings.consumer_workers > MOST_THREADS and not runs_on_loop(handle):
        raise ConfigError(
            f"a plain handler has {MOST_THREADS} threads at most: lower CONSUMER_WORKERS, or use async def"
        )
    return handle


def _find(settings: ConsumerSettings) -> Handle | SetUp:
    name = settings.consumer_handler
    if name == "log":
        return log_message
    if (path := name.removeprefix("append:")) not in (name, ""):
        try:
            return AppendToFile(Path(path))
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
    return prepared(load_callable(name, "log, append:PATH or package.module:callable", arguments=1, or_none=True), name)


def prepared(found: Callable[..., Any], name: str) -> Handle | SetUp:
    """The user's callable `name` as a handler, or as what sets it up. Raises ConfigError."""
    if inspect.isclass(found) and not is_context(found):
        raise ConfigError(f"{name} is a class: a call would make an object, and handle nothing. Name a function")
    if is_any(found, UNSTARTED):
        raise ConfigError(
            f"{name} has a yield: a call would run nothing of it. Name a function without one; or what sets up the "
            "handler and yields it, decorated with @contextmanager or @asynccontextmanager"
        )
    if not makes_context(found):
        return found
    context: Any = None if is_async(found) else found()
    if not is_context(context):
        raise ConfigError(f"{name} takes no message, so it must return a context manager that gives the handler")
    return SetUp(name, context)


def log_message(message: Message) -> None:
    """Log one line a message."""
    body = message.body.decode(errors="replace")
    shown = body if len(body) <= MAX_BODY_LOGGED else f"{body[:MAX_BODY_LOGGED]}…"
    log.info("message", body=shown, message_id=message.message_id, attempt=message.attempt)


class AppendToFile:
    """A handler that appends the body and a newline in one `write`, to the file that bears the name at that time."""

    def __init__(self, path: Path) -> None:
        """Raises OSError for a file that cannot be opened."""
        self._path = path.absolute()  # a handler may change the working folder
        self._lock = Lock()  # between a short write and `_cut`, another thread would append its line to the part
        self._open()

    def __call__(self, message: Message) -> None:
        """Raises OSError: the message is not in the file."""
        with self._lock:
            for _ in range(MOVES_MAX):
                if not self._named():
                    old = self._descriptor
                    self._open()
                    os.close(old)
                self._write(message.body)
                if self._named():  # or it was moved meanwhile, and may be compressed and deleted already
                    return
        raise OSError(f"{self._path} is moved again and again while it is written")

    def _open(self) -> None:
        # /dev/stdout is a link, and only root can put another there.
        flags = 0 if self._path.parent == Path("/dev") else os.O_NOFOLLOW
        # A pipe that nobody reads is an error at once: a wait would come before the signals are heard.
        flags |= os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            self._descriptor = os.open(self._path, flags, 0o666)
        except OSError as error:
            why = {errno.ENXIO: "nobody reads it", errno.ELOOP: "is a symbolic link, which is not followed"}
            raise OSError(error.errno, why.get(error.errno or 0, error.strerror), str(self._path)) from None
        os.set_blocking(self._descriptor, True)
        self._cut = False  # the file ends with a part of a line

    def _named(self) -> bool:
        """Whether the open file still bears the name, as after a rotation it does not."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _write(self, body: bytes) -> None:
        data = b"%s%s\n" % (b"\n" * self._cut, body)
        written = os.write(self._descriptor, data)
        self._cut = written < len(data)
        if self._cut:
            raise OSError(f"{self._path}: only {written} of {len(data)} bytes were written; the disk is full")
