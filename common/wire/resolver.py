"""Resolver: pika's look-up of a host name, in a thread that does not keep the program from ending.

pika waits for `getaddrinfo` in a thread of its own that Python joins at its exit, and a DNS server that does not answer
holds that for half a minute: longer than a stopping pod may have. A plain name is looked up as bytes: for text, Python
loads the codec of international names first, which takes milliseconds of the start. And addresses that no socket can be
opened for are left out (IPv6 where the kernel has none, any when there are no file descriptors left): pika's error for
them would end the loop. The class is internal to pika; `tests/unit/common/test_resolver.py` holds it against the pika
that we lock.
"""

import socket
from threading import Timer
from typing import TYPE_CHECKING, Any

from pika.adapters.utils import selector_ioloop_adapter


class _Resolver(selector_ioloop_adapter._AddressResolver):
    if TYPE_CHECKING:  # pika's own, which its stubs do not name
        _host: Any
        _state: Any
        _resolve: Any
        _result: Any

    def start(self) -> Any:
        """As pika's, but for the daemon and the bytes."""
        self._host = self._host.encode() if self._host.isascii() else self._host
        self._state = self.ACTIVE
        self._threading_timer = Timer(0, self._resolve)
        self._threading_timer.daemon = True
        self._threading_timer.start()
        return selector_ioloop_adapter._SelectorIOLoopIOHandle(self)

    def _dispatch_result(self) -> None:
        if isinstance(self._result, list):
            usable, error = [], None
            for record in self._result:
                try:
                    socket.socket(record[0]).close()
                    usable.append(record)
                except OSError as why:
                    error = why
            self._result = usable or error or self._result
        super()._dispatch_result()  # type: ignore[misc]


selector_ioloop_adapter._AddressResolver = _Resolver  # type: ignore[misc]
