"""Resolver: pika's look-up of a host name, in a thread that does not keep the program from ending.

pika waits for `getaddrinfo` in a thread of its own that Python joins at its exit, and a DNS server that does not answer
holds that for half a minute: longer than a stopping pod may have. A plain name is looked up as bytes: for text, Python
loads the codec of international names first, which takes milliseconds of the start. The class is internal to pika;
`tests/unit/common/test_resolver.py` holds it against the pika that we lock. (Deletable.)
"""

from threading import Timer
from typing import TYPE_CHECKING, Any

from pika.adapters.utils import selector_ioloop_adapter


class _Resolver(selector_ioloop_adapter._AddressResolver):
    if TYPE_CHECKING:  # pika's own, which its stubs do not name
        _host: Any
        _state: Any
        _resolve: Any

    def start(self) -> Any:
        """As pika's, but for the daemon and the bytes."""
        self._host = self._host.encode() if self._host.isascii() else self._host
        self._state = self.ACTIVE
        self._threading_timer = Timer(0, self._resolve)
        self._threading_timer.daemon = True
        self._threading_timer.start()
        return selector_ioloop_adapter._SelectorIOLoopIOHandle(self)


def install() -> None:
    """Let pika use it; twice is as good as once."""
    selector_ioloop_adapter._AddressResolver = _Resolver  # type: ignore[misc]


install()
