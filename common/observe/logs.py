"""Log lines: structlog's, pika's and the standard library's through one renderer, on standard error."""

import logging
from contextvars import ContextVar
from threading import Lock
from time import monotonic
from traceback import format_exception
from typing import Any

import structlog

from common.message import Message
from common.observe.stream import STDERR
from common.observe.trace_context import trace_id
from common.terminal import coloured, printable

MAX_BYTES = 8192  # of a traceback, in UTF-8
MAX_LINE = 500  # characters: a line of an error's text may be a whole message
FRAMES = (None, -20, -5, -1)  # of each error in a chain: all, else the innermost
PERIOD = 60.0  # seconds
MAX_KINDS = 100  # that have tracebacks in a period


class Subject:
    """What a thread or a coroutine works on: its log lines get the names of the message."""

    def __init__(self, message: Message | None = None) -> None:
        self.message = message


# A handler thread has one for all its messages: to set a context variable for each would cost 750 instructions more.
subject: ContextVar[Subject | None] = ContextVar("subject", default=None)


def names(message: Message) -> dict[str, str | None]:
    """By what a message is found: its id, and its trace's id if it has a trace."""
    found = {"message_id": message.message_id}
    return {**found, "trace_id": trace} if (trace := trace_id(message.headers)) else found


def add_names(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """A processor of structlog's: adds the names of the message that is worked on."""
    found = subject.get()
    return names(found.message) | event if found and found.message else event


class Written:
    """A value that the text renderer shows as it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def write_out(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """A processor for text: no foreign character can act on the terminal. JSON is ASCII, and needs none."""
    return {printable(str(key)): _written(key, value) for key, value in event.items()}


def _written(key: str, value: object) -> object:
    if key in ("event", "exception", "stack"):
        return printable(str(value), "\n" * (key != "event"))
    text = value if isinstance(value, str) else repr(value)
    return value if text.isprintable() else Written(repr(value) if isinstance(value, str) else printable(text))


def configure(level: str, form: str) -> None:
    """Set up logging once. `form`: json, text, or auto, which means text on a terminal."""
    text = form == "text" or (form == "auto" and STDERR.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        add_names,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if text else "iso", utc=not text),
    ]
    # Plain tracebacks: rich ones show local variables, and one of them may be a password or a body.
    plain = structlog.dev.plain_traceback
    last: list[Any] = [structlog.processors.ExceptionRenderer(lambda exc_info: traceback_of(exc_info[1]))]
    if text:
        last += [write_out, structlog.dev.ConsoleRenderer(colors=coloured(STDERR), exception_formatter=plain)]
    else:
        last += [structlog.processors.JSONRenderer(default=str)]
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: STDERR,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(STDERR)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # else tracebacks of failed tries, and returned bodies


class Quota:
    """At most `lines` a second of the warnings that could come with every message. One thread only."""

    def __init__(self, lines: int = 20) -> None:
        self._lines = self._left = lines
        self._skipped = 0
        self._refill_at = 0.0

    def warn(self, event: str, **fields: object) -> None:
        if self._left:
            self._left -= 1
            structlog.get_logger().warning(event, **fields)
        else:
            self._skipped += 1

    def tick(self, now: float) -> None:
        """Each second: say how many warnings were not written, and begin anew."""
        if now < self._refill_at:
            return
        self._refill_at, self._left = now + 1.0, self._lines
        if self._skipped:
            structlog.get_logger().warning("more of these warnings, not written one by one", count=self._skipped)
            self._skipped = 0


def traceback_of(error: BaseException) -> str:
    """Traceback, causes and notes in at most MAX_BYTES of UTF-8, and never the values of variables."""
    for limit in FRAMES:
        lines = "".join(format_exception(error, limit=limit)).splitlines()
        shown = "\n".join(line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…" for line in lines)
        data = shown.encode(errors="backslashreplace")
        if len(data) <= MAX_BYTES:
            return data.decode()
    name = f"{type(error).__name__} …\n"
    return name + data[len(name.encode()) - MAX_BYTES :].decode(errors="ignore")


class Tracebacks:
    """Of errors of one kind the first in each period has a traceback. Any thread."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}  # when each had one, and how many had none since
        self._lock = Lock()

    def first(self, error: BaseException, where: str) -> str:
        """The traceback of `error` if it is the first of its type at this place in a period; else nothing."""
        kind, now = (type(error).__qualname__, where), monotonic()
        with self._lock:
            at, untold = self._kinds.get(kind, (now - PERIOD, 0))
            if now - at < PERIOD:
                self._kinds[kind] = at, untold + 1
                return ""
            if len(self._kinds) >= MAX_KINDS and kind not in self._kinds:
                self._kinds = {each: had for each, had in self._kinds.items() if now - had[0] < PERIOD}
                if len(self._kinds) >= MAX_KINDS:
                    return ""
            self._kinds[kind] = now, 0
        try:
            return traceback_of(error) + (f"\n{untold} more of these had no traceback" if untold else "")
        except BaseException:  # noqa: BLE001 - the user's code, such as an error's __str__
            return ""
