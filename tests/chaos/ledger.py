"""A ledger: a file to which a service appends a line for each message, read as it grows."""

import os
from collections.abc import Callable
from pathlib import Path


def recorder(path: Path) -> Callable[[str], None]:
    """A function that appends a line in one `write`: what it wrote outlives the process, whatever ends that."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def record(line: str) -> None:
        os.write(descriptor, f"{line}\n".encode())

    return record


class Ledger:
    """Lines of `id` or `id message_id`; `names` are the ids in their order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names: list[str] = []
        self.ids: dict[str, set[str]] = {}
        self._offset = 0

    def read(self) -> "Ledger":
        """Take in what was written since."""
        if not self.path.exists():
            return self
        with self.path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.decode().splitlines():
            name, _, message_id = line.partition(" ")
            self.names.append(name)
            self.ids.setdefault(name, set()).add(message_id)
        return self

    def doubtful(self) -> list[str]:
        """Names that came under more than one message_id: duplicates that nobody could recognise."""
        return sorted(name for name, ids in self.ids.items() if len(ids) > 1)
