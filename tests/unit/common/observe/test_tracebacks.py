"""Tracebacks: bounded, with what matters kept, and not with each of a thousand failures."""

import pytest

from common.observe import tracebacks
from common.observe.tracebacks import MAX_BYTES, MAX_KINDS, PERIOD, Tracebacks, text


def caught(function: object, *arguments: object) -> BaseException:
    try:
        function(*arguments)  # type: ignore[operator]
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError("it did not fail")


def even(depth: int) -> None:
    if not depth:
        secret = "Zq7Xj9Kv"
        raise ValueError(f"innermost {len(secret)}")
    odd(depth - 1)


def odd(depth: int) -> None:
    even(depth - 1)


def chained(depth: int) -> None:
    try:
        even(depth)
    except ValueError as error:
        error.add_note("a note of the cause")
        try:
            even(depth)
        except ValueError as again:
            again.add_note("a note")
            raise RuntimeError("outer") from error


def test_a_traceback_has_its_causes_and_notes() -> None:
    shown = text(caught(chained, 2))
    assert shown.index("innermost 8") < shown.index("direct cause") < shown.index("RuntimeError: outer")
    assert "a note of the cause" in shown
    assert "secret = " not in shown
    assert "Zq7Xj9Kv" not in shown


@pytest.mark.parametrize("function", [even, chained])
def test_of_a_long_traceback_the_innermost_frames_of_each_error_are_kept(function: object) -> None:
    """Two functions that call each other are no repetition that Python itself would shorten."""
    shown = text(caught(function, 200))
    assert 1000 < len(shown.encode()) <= MAX_BYTES
    assert 'raise ValueError(f"innermost' in shown
    assert "innermost 8" in shown
    if function is chained:
        assert "a note of the cause" in shown
        assert shown.endswith("RuntimeError: outer")


class BrokenError(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise SystemExit


def long_chain() -> None:
    for number in range(500):
        try:
            raise ValueError(f"{number} " + "ü" * 300)
        except ValueError as error:
            last: ValueError = error
            last.__cause__ = error.__context__
    raise last


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x" * 1_000_000),
        ValueError("ü\n" * 100_000),
        ExceptionGroup("many", [ValueError("x" * 400) for _ in range(100)]),
        BrokenError(),
        SystemExit(3),
        caught(long_chain),
    ],
)
def test_any_error_is_shown_in_bounds(error: BaseException) -> None:
    shown = text(error)
    assert 0 < len(shown.encode()) <= MAX_BYTES
    assert type(error).__name__ in shown


def test_the_first_of_each_kind_in_a_minute_has_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind is an exception's type and a place; the next traceback says how many had none."""
    now = 100.0
    monkeypatch.setattr(tracebacks, "monotonic", lambda: now)
    traces = Tracebacks()
    assert "innermost" in traces.first(caught(even, 2), "f.py:1")
    assert [traces.first(caught(even, 2), "f.py:1") for _ in range(3)] == ["", "", ""]
    assert "innermost" in traces.first(caught(even, 2), "f.py:2")
    assert "KeyError" in traces.first(KeyError(), "f.py:1")
    now += PERIOD
    assert traces.first(caught(even, 2), "f.py:1").endswith("\n3 more of these had no traceback")
    assert "more of these" not in traces.first(KeyError(), "f.py:1")


def test_kinds_without_end_have_tracebacks_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generated code has places without end."""
    now = 100.0
    monkeypatch.setattr(tracebacks, "monotonic", lambda: now)
    traces = Tracebacks()
    shown = [traces.first(KeyError(), f"f.py:{line}") for line in range(2 * MAX_KINDS)]
    assert [bool(each) for each in shown] == [True] * MAX_KINDS + [False] * MAX_KINDS
    now += PERIOD
    assert traces.first(KeyError(), "g.py:1")
    assert len(traces._kinds) == 1


def test_an_error_that_cannot_be_shown_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called in a handler's thread."""
    monkeypatch.setattr(tracebacks, "format_exception", lambda *_, **__: 1 / 0)
    assert Tracebacks().first(KeyError(), "") == ""
