"""Handler: the function that gets each message. The second of the two extension points."""

import errno
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import structlog

from common.message import Message
from common.plugins import ConfigError, is_any, load_callable
from consumer.settings import ConsumerSettings

log = structlog.get_logger()
UNSTARTED = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
MAX_BODY_LOGGED = 200  # characters
MOVES_MAX = 3  # times that a file may be moved while one message is written to it


def open_handler(settings: ConsumerSettings) -> Callable[[Message], object]:
    """The handler that CONSUMER_HANDLER names. Raises ConfigError, a sentence for people."""
    name = settings.consumer_handler
    if name == "log":
        return log_message
    if (path := name.removeprefix("append:")) not in (name, ""):
        try:
            return AppendToFile(Path(path))
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
    found = load_callable(name, "log, append:PATH or package.module:callable", arguments=1)
    if inspect.isclass(found):
        raise ConfigError(f"{name} is a class: a call would make an object, and handle nothing. Name a function")
    if is_any(found, UNSTARTED):
        raise ConfigError(f"{name} is async, or has a yield: a call would run nothing of it. Name a plain function")
    return found


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
