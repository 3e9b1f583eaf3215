"""The table of the trials. Pure."""

from collections.abc import Iterable

from tests.chaos.trial import Row

COLUMNS = (
    "attempted",
    "confirmed",
    "handled",
    "lost",
    "unexpected",
    "duplicates",
    "parked",
    "recovery s",
    "MiB",
    "lines/min",
)
WIDTH = 74


def head(wire: str) -> str:
    """The names of the columns, the first with MQ_WIRE of all rows."""
    first = f"fault (MQ_WIRE={wire})"
    return f"{first:<{WIDTH}}" + "".join(f"{name:>{max(9, len(name)) + 2}}" for name in COLUMNS)


def line(row: Row) -> str:
    """One row, and what was wrong on lines of their own."""
    total = row.account
    cells: Iterable[str] = (
        f"{total.attempted:,}",
        f"{total.confirmed:,}",
        f"{total.handled:,}",
        f"{len(total.lost):,}",
        f"{len(total.unexpected):,}",
        f"{total.duplicated:,}",
        f"{total.parked:,}",
        f"{row.recovery:.1f}",
        f"{row.memory:.0f}",
        f"{row.lines:,.0f}",
    )
    name = row.name if len(row.name) < WIDTH else f"{row.name[: WIDTH - 2]}…"
    text = f"{name:<{WIDTH}}"
    for column, cell in zip(COLUMNS, cells, strict=True):
        text += f"{cell:>{max(9, len(column)) + 2}}"
    return text + "".join(f"\n    BROKEN: {complaint}" for complaint in row.complaints)


def closing(rows: list[Row]) -> str:
    """The sum of all rows."""
    lost = sum(len(row.account.lost) for row in rows)
    unexpected = sum(len(row.account.unexpected) for row in rows)
    attempted = sum(row.account.attempted for row in rows)
    broken = sum(bool(row.complaints) for row in rows)
    slowest = max((row.recovery for row in rows), default=0.0)
    return (
        f"{len(rows)} faults, {attempted:,} messages: lost {lost}, unexpected {unexpected}; "
        f"slowest recovery {slowest:.1f} s; " + (f"{broken} promises broken" if broken else "every promise held")
    )
