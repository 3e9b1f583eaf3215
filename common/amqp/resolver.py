"""Resolver: looks up host names in a daemon thread.

pika's resolver uses a thread that Python joins at exit. A DNS server that does not answer holds that thread for half a
minute: longer than a stopping pod may have. And pika's loop ends with an error for an address that no socket can be
opened for (IPv6 where the kernel has none, any when no file descriptor is left). Here such addresses are left out.
"""

import errno
import socket
from collections.abc import Callable
from threading import Thread
from typing import Any

from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.nbio_interface import AbstractIOReference
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter


class IOServices(SelectorIOServicesAdapter):
    """pika's services of a loop, with another resolver; given to a connection as its `custom_ioloop`."""

    def __init__(self, loop: IOLoop, tries: int = 0) -> None:
        """`tries` failed before: pika gives up at the first address that accepts and is silent, so begin further on."""
        super().__init__(loop)  # type: ignore[arg-type]
        self.tries = tries

    def getaddrinfo(self, host: str, port: int, on_done: Callable[[Any], object], **hints: int) -> AbstractIOReference:  # type: ignore[override]
        """Look up `host`; `on_done` gets the addresses, or the error, on the I/O thread."""
        return _Lookup(self, host, port, on_done, hints)


class _Lookup(AbstractIOReference):
    def __init__(
        self, services: IOServices, host: str, port: int, on_done: Callable[[Any], object], hints: dict[str, int]
    ) -> None:
        self._on_done: Callable[[Any], object] | None = on_done  # None: told or cancelled; I/O thread only
        self._services = services
        hints["type"] = hints.pop("socktype", 0)
        # An ASCII name as bytes: for text, Python first loads the codec of international names.
        name = host.encode() if host.isascii() else host
        try:
            Thread(target=self._look_up, args=(name, port, hints), name="resolver", daemon=True).start()
        except RuntimeError as error:  # the container has used up its threads
            failed = OSError(errno.EAGAIN, str(error))
            services.add_callback_threadsafe(lambda: self._tell(failed))

    def cancel(self) -> bool:
        """Whether the look-up was still waited for."""
        waited, self._on_done = self._on_done, None
        return waited is not None

    def _look_up(self, name: str | bytes, port: int, hints: dict[str, int]) -> None:
        try:
            found: Any = _usable(socket.getaddrinfo(name, port, **hints))
            if isinstance(found, list) and found:
                first = self._services.tries % len(found)
                found = found[first:] + found[:first]
        except Exception as error:  # noqa: BLE001 - the connection gets any error
            found = error
        self._services.add_callback_threadsafe(lambda: self._tell(found))

    def _tell(self, found: Any) -> None:
        on_done, self._on_done = self._on_done, None
        if on_done:
            on_done(found)


def _usable(records: list[Any]) -> list[Any] | OSError:
    usable, error = [], None
    for record in records:
        try:
            socket.socket(record[0]).close()
            usable.append(record)
        except OSError as why:
            error = why
    return usable or error or records
