"""Unconfirmed: the delivery tags that wait for the broker's confirm. Pure; knows no pika."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Unconfirmed(Generic[T]):
    """Published entries of one channel in the order of their tags, which count from 1."""

    def __init__(self) -> None:
        self._entries: deque[T | None] = deque()  # None: confirmed before the head was; the head is never None
        self._first_tag = 1
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def oldest(self) -> T | None:
        """The entry that waits longest."""
        return self._entries[0] if self._entries else None

    @property
    def overtaken(self) -> bool:
        """Whether later entries were confirmed before it."""
        return self._count < len(self._entries)

    def add(self, entry: T) -> None:
        """Note the next publish."""
        self._entries.append(entry)
        self._count += 1

    def settle(self, tag: int, *, multiple: bool) -> list[T]:
        """Take out the entry of `tag`, or with `multiple` all up to it, in order. Unknown tags give nothing."""
        entries = self._entries
        index = len(entries) - 1 if multiple and tag == 0 else tag - self._first_tag  # tag 0: all there are
        if not 0 <= index < len(entries):
            return []
        if not multiple and index > 0:
            taken = [entries[index]]
            entries[index] = None
        else:
            taken = [entries.popleft() for _ in range(index + 1)]
            self._first_tag += index + 1
            while entries and entries[0] is None:
                entries.popleft()
                self._first_tag += 1
        settled = [entry for entry in taken if entry is not None]
        self._count -= len(settled)
        return settled

    def drain(self) -> list[T]:
        """Take out all, in order. What is added next is of a new channel, whose tags count from 1 again."""
        entries = [entry for entry in self._entries if entry is not None]
        self._entries.clear()
        self._first_tag, self._count = 1, 0
        return entries
