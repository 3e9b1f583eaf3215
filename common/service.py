"""Service: what a process runs, as its process sees it."""

from typing import Any, Protocol


class Service(Protocol):
    """What runs in the process. All of it is called on the I/O thread, which must never wait."""

    def start(self) -> None:
        """Begin to work."""

    def tick(self, now: float) -> None:
        """Look at what depends on time. `now` is `time.monotonic()`."""

    def stop(self) -> None:
        """Take nothing new."""

    def done(self) -> bool:
        """Whether nothing is left to do: at the source's end, or after `stop` when all is settled or cannot be."""

    def close(self) -> None:
        """Close the connections."""

    def closed(self) -> bool:
        """Whether they are closed."""

    def summary(self) -> tuple[int, dict[str, Any]]:
        """How many messages are left over, and the totals for the last log line."""


class Watched(Service, Protocol):
    """One with a health page."""

    def problems(self) -> list[str]:
        """Why the process should be started anew (http thread)."""

    def reasons(self) -> list[str]:
        """Why it is not ready (http thread)."""
