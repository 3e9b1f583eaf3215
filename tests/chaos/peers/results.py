"""Rows of all runs in a file, from which document and picture are drawn. A run made again takes its old row's place."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.chaos.peers.trial import Row


def read(path: Path) -> list[Row]:
    """All rows; none when there is no such file."""
    return [Row(**row) for row in json.loads(path.read_text())] if path.exists() else []


def write(path: Path, rows: Sequence[Row]) -> None:
    """One row a line."""
    lines = ",\n".join(json.dumps(asdict(row)) for row in rows)
    path.write_text(f"[\n{lines}\n]\n")


def merge(old: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """`old` without what was run again, then `new`."""
    again = {(row.entry, row.fault, row.run) for row in new}
    return [row for row in old if (row.entry, row.fault, row.run) not in again] + list(new)


@dataclass(frozen=True, slots=True)
class Cell:
    """All runs of one entry and one fault."""

    rows: tuple[Row, ...]

    @property
    def lost(self) -> int:
        """The worst."""
        return max(row.lost for row in self.rows)

    @property
    def stuck(self) -> bool:
        """Whether a person was needed in any run."""
        return any(row.stuck or row.held for row in self.rows)

    def figure(self, name: str) -> str:
        """The worst, and behind it the median where there are more runs."""
        values = [getattr(row, name) for row in self.rows]
        return f"{max(values):g}" + (f" ({statistics.median(values):g})" if len(values) > 1 else "")

    def stuck_text(self) -> str:
        """Why a person was needed."""
        held = max(row.held for row in self.rows)
        parts = ["no flow"] * any(row.stuck for row in self.rows) + [f"{held} held"] * bool(held)
        return ", ".join(parts) or "no"


def cells(rows: Sequence[Row]) -> dict[tuple[str, str], Cell]:
    """By entry and fault."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.entry, row.fault), []).append(row)
    return {key: Cell(tuple(rows)) for key, rows in found.items()}
