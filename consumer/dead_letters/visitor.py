"""Visitor: what a browser shows the messages to."""

from typing import Protocol

from common.message import Message


class Visitor(Protocol):
    """All of it is called on the I/O thread."""

    def visit(self, tag: int, message: Message) -> None:
        """The next message. What is not settled by its tag goes back."""

    def wants_more(self) -> bool:
        """Whether to go on; even if not, all are shown that must be held for the order."""

    def next_chunk(self, seen: int, size: int, left: int) -> int:
        """How many of the `left` messages it takes now, after `seen` of `size` bytes together."""
