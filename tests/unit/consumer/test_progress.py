"""One line about long work."""

from io import StringIO

import pytest

from consumer.progress import CLEAR, Progress


class Terminal(StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        """As a terminal does."""
        return True


def written(stream: StringIO, seconds: list[float]) -> str:
    progress = Progress(stream)
    for number, second in enumerate(seconds):
        progress.tick(second, f"{number} done")
    progress.end()
    progress.tick(1000.0, "too late")
    return stream.getvalue()


def test_what_is_done_at_once_says_nothing() -> None:
    """Also not at its end."""
    assert written(Terminal(), [10.0, 10.4]) == ""
    assert written(StringIO(), [10.0, 14.0]) == ""


def test_on_a_terminal_the_line_is_written_anew_and_goes_at_the_end() -> None:
    """Not with each tick."""
    assert written(Terminal(), [10.0, 10.5, 10.6, 10.8]) == "\r\x1b[K1 done\r\x1b[K3 done\r\x1b[K"


def test_elsewhere_it_is_a_line_every_few_seconds() -> None:
    """For logs."""
    assert written(StringIO(), [10.0, 15.0, 16.0, 20.0]) == "1 done\n3 done\n"


def test_a_line_that_would_wrap_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not be written anew in its place, and would fill the terminal."""
    monkeypatch.setenv("COLUMNS", "10")
    terminal = Terminal()
    progress = Progress(terminal)
    for second in (0.0, 1.0):
        progress.tick(second, "x" * 50)
    assert terminal.getvalue() == CLEAR + "x" * 9
