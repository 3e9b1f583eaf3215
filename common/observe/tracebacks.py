"""Tracebacks: of an error the innermost frames, within bounds; and of errors of one kind the first in a minute."""

from threading import Lock
from time import monotonic
from traceback import format_exception
from types import TracebackType
from typing import Any

MAX_BYTES = 8192
MAX_LINE = 500  # characters: a line of an error's text may be a whole message
FRAMES = (None, -20, -5, -1)  # of each error in a chain: all, else the innermost
PERIOD = 60.0  # seconds
MAX_KINDS = 100  # that have tracebacks in a period


def text(error: BaseException) -> str:
    """Traceback, causes and notes in at most MAX_BYTES of UTF-8, and never the values of variables."""
    for limit in FRAMES:
        lines = "".join(format_exception(error, limit=limit)).splitlines()
        shown = "\n".join(line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…" for line in lines)
        data = shown.encode(errors="backslashreplace")
        if len(data) <= MAX_BYTES:
            return data.decode()
    name = f"{type(error).__name__} …\n"
    return name + data[len(name.encode()) - MAX_BYTES :].decode(errors="ignore")


def formatted(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> Any:
    """For structlog's `ExceptionRenderer`."""
    return text(exc_info[1])


class Tracebacks:
    """Any thread."""

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
            return text(error) + (f"\n{untold} more of these had no traceback" if untold else "")
        except BaseException:  # noqa: BLE001 - the user's code, such as an error's __str__
            return ""
