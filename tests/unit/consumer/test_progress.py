"""One line about long work."""

from io import StringIO

import pytest

from consumer.progress import CLEAR, Progress, bar


class Terminal(StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        """As a terminal does."""
        return True


def written(stream: StringIO, seconds: list[float]) -> str:
    progress = Progress(stream)
    for number, second in enumerate(seconds):
        progress.tick(second, f"{number} done", number / 4)
    progress.end()
    progress.tick(1000.0, "too late", 1.0)
    return stream.getvalue()


def test_what_is_done_at_once_says_nothing() -> None:
    """Also not at its end."""
    assert written(Terminal(), [10.0, 10.4]) == ""
    assert written(StringIO(), [10.0, 14.0]) == ""


def test_on_a_terminal_the_line_is_written_anew_and_goes_at_the_end() -> None:
    """Not with each tick."""
    first, second = f"{bar(0.25)}  1 done", f"{bar(0.75)}  3 done"
    assert written(Terminal(), [10.0, 10.5, 10.6, 10.8]) == f"\r\x1b[K{first}\r\x1b[K{second}\r\x1b[K"


@pytest.mark.parametrize(
    ("done", "drawn"),
    [
        (0.0, "[....................]   0%"),
        (0.25, "[#####...............]  25%"),
        (0.999, "[###################.]  99%"),
        (1.0, "[####################] 100%"),
        (1.5, "[####################] 100%"),
    ],
)
def test_the_bar_is_full_when_all_is_done_and_not_before(done: float, drawn: str) -> None:
    """Nor longer: more may come than there was at the start."""
    assert bar(done) == drawn


def test_elsewhere_it_is_a_line_every_few_seconds() -> None:
    """For logs."""
    assert written(StringIO(), [10.0, 15.0, 16.0, 20.0]) == "1 done\n3 done\n"


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot write one anew."""
    monkeypatch.setenv("TERM", "dumb")
    assert written(Terminal(), [10.0, 15.0, 16.0, 20.0]) == "1 done\n3 done\n"


def test_reasons_of_the_broker_cannot_act_on_the_terminal() -> None:
    for stream in (Terminal(), StringIO()):
        progress = Progress(stream)
        for second in (0.0, 6.0):
            progress.tick(second, "1 of 2 (\x1b]0;pwned\x07\u202e)", 0.5)
        assert "1 of 2 (\\x1b]0;pwned\\x07\\u202e)" in stream.getvalue()


def test_a_line_that_would_wrap_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not be written anew in its place, and would fill the terminal."""
    monkeypatch.setenv("COLUMNS", "10")
    terminal = Terminal()
    progress = Progress(terminal)
    for second in (0.0, 1.0):
        progress.tick(second, "x" * 50, 0.5)
    assert terminal.getvalue() == CLEAR + bar(0.5)[:9]
