"""The two services and their broker, however they run."""

from typing import Protocol, Self

SERVICES = ("producer", "consumer")


class Pair(Protocol):
    """A running pair; `with` starts it, and ends it leaving nothing running. A service is `producer` or `consumer`."""

    keeps: bool
    """Whether messages left in the queue survive."""

    @property
    def management_url(self) -> str | None:
        """Return the broker's management page."""

    @property
    def management_login(self) -> str:
        """Return the user and the password of that page, for a person to read."""

    def address(self, service: str) -> str:
        """Return the service's HTTP address, http://host:port; raises OSError when it has none now."""

    def exit_code(self, service: str) -> int | None:
        """Return the exit code, or None while the service runs."""

    def stop(self, service: str) -> None:
        """Ask the service to stop (SIGTERM) and wait until it has."""

    def log(self, service: str) -> list[str]:
        """Return the last lines of the service's log."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
