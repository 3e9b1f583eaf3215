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


def open_handler(settings: ConsumerSettings) -> Callable[[Message], None]:
    """The handler that CONSUMER_HANDLER names. Raises ConfigError, a sentence for people."""
    name = settings.consumer_handler
    if name == "log":
        return log_message
    if (path := name.removeprefix("append:")) not in (name, ""):
        return append_to(Path(path))
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


def append_to(path: Path) -> Callable[[Message], None]:
    """A handler that appends the body and a newline in one `write`. Raises ConfigError for a file it cannot open."""
    try:
        # A pipe that nobody reads is an error at once: a wait would come before the signals are heard.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    except OSError as error:
        raise ConfigError(f"{path}: {'nobody reads it' if error.errno == errno.ENXIO else error.strerror}") from None
    os.set_blocking(descriptor, True)

    lock = Lock()  # between a short write and `cut`, another thread would append its line to the part
    cut = False  # the file ends with a part of a line

    def append(message: Message) -> None:
        nonlocal cut
        with lock:
            data = b"%s%s\n" % (b"\n" * cut, message.body)
            written = os.write(descriptor, data)
            cut = written < len(data)
            if cut:
                raise OSError(f"{path}: only {written} of {len(data)} bytes were written; the disk is full")

    return append
