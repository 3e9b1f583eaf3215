"""What a terminal is shown, and how."""

import pytest

from common.terminal import columns, cut, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31m\n\x07\x7f", "a\\x1b[31m\\n\\x07\\x7f"),
        ("\x9b31m\x85", "\\x9b31m\\x85"),  # C1
        ("\u202egpj.exe\u2066\u061c", "\\u202egpj.exe\\u2066\\u061c"),
        ("a\u200bb\ufeff\u2028", "a\\u200bb\\ufeff\\u2028"),
        ("\ud800\udcff", "\\ud800\\udcff"),
        ("\U000e0041", "\\U000e0041"),
        ("größer 日本語 e\u0301 🐇", "größer 日本語 e\u0301 🐇"),
    ],
)
def test_characters_that_are_not_visible_are_written_out(text: str, shown: str) -> None:
    """Controls, marks of direction, marks of no width, lone surrogates, tags; nothing else."""
    assert printable(text) == shown
    assert printable(text).isprintable()


def test_characters_that_are_kept_stay_and_the_others_go() -> None:
    assert printable("a\n\x07", "\n") == "a\n\\x07"


def test_a_text_is_cut_at_columns_and_ends_with_an_ellipsis() -> None:
    assert cut("abcdef", None) == "abcdef"
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdef", 5) == "abcd…"
    assert cut("語語語", 5) == "語語…"
    assert columns("e\u0301") == 1
