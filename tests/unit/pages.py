"""The HTTP pages of a service, over real HTTP."""

import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from types import MappingProxyType

from common.observe.health import Answer, Health

PATIENCE = 10.0  # seconds


class Page:
    """The pages of one service whose reasons a test sets."""

    def __init__(
        self, host: str = "127.0.0.1", pages: Mapping[str, Callable[[], Answer]] = MappingProxyType({})
    ) -> None:
        """Of a service that has these `pages`, too."""
        self.problems: list[str] = []
        self.reasons: list[str] = []
        health = Health(lambda: self.problems, lambda: self.reasons)
        health.pages |= pages
        self.host, self.port = host, health.listen(host, 0)

    def get(self, path: str) -> "tuple[int, Message[str, str], bytes]":
        """Status, headers and body."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        try:
            with urllib.request.urlopen(f"http://{host}:{self.port}{path}", timeout=PATIENCE) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()
