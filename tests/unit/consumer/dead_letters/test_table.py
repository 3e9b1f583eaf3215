"""Rows for people."""

import pytest

from consumer.dead_letters.parked import Row
from consumer.dead_letters.table import columns, cut, printable, short_age, table

ROWS = [
    Row(9, "order-1", 4000.0, 4, 0, 120, "ValueError: no such customer"),
    Row(10, None, None, 1, 2, 7, ""),
]


def test_columns_stand_under_each_other() -> None:
    """Numbers at the right, words at the left, nothing behind the last."""
    assert list(table(ROWS, None)) == [
        " #  ID       AGE  ATTEMPT  REPLAYS  BYTES  ERROR",
        " 9  order-1   1h        4        0    120  ValueError: no such customer",
        "10  -          -        1        2      7  -",
    ]


def test_lines_are_as_wide_as_the_terminal() -> None:
    """Also with characters of two columns."""
    wide = [*ROWS, Row(11, "日本語" * 5, 1.0, 1, 0, 1, "語" * 50)]
    lines = list(table(wide, 50))
    assert all(columns(line) <= 50 for line in lines)
    assert lines[3].endswith("…")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59.9, "59s"), (60, "1m"), (7199, "1h"), (86400, "1d"), (1e7, "115d")]
)
def test_an_age_is_one_number(seconds: float, text: str) -> None:
    """The largest unit that fits."""
    assert short_age(seconds) == text


def test_nothing_reaches_the_terminal_that_it_would_obey() -> None:
    """Escapes, new lines, and marks that turn the direction of writing."""
    assert printable("a\x1b[31m\n\u202eü\x7f") == "a\\x1b[31m\\n\\u202eü\\x7f"
    assert printable("a\n\x07", "\n") == "a\n\\x07"


def test_a_text_is_cut_by_columns() -> None:
    """With a sign of it."""
    assert cut("abcdef", None) == "abcdef"
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdef", 5) == "abcd…"
    assert cut("語語語", 5) == "語語…"
    assert columns("e\u0301") == 1
