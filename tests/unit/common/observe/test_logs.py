"""Log lines: one form for all, and no password in any."""

import json
import logging
import sys
from collections.abc import Iterator
from threading import Thread

import pytest
import structlog

from common.message import Message
from common.observe import logs
from common.observe.logs import MAX_BYTES, MAX_KINDS, PERIOD, Quota, Tracebacks, traceback_of
from common.settings.broker_url import parse_urls
from common.settings.shared import Settings

SECRET = "Zq7Xj9Kv"
# Escapes, a bell, a C1 control, marks that turn the direction of writing or have no width, a lone surrogate.
HOSTILE = "\x1b[2J\x1b]0;pwned\x07\x08\x7f\x9b31m\u202egpj\u2066\u200b\ufeff\udcff"
URL = f"amqp://user:{SECRET}@rabbit/"


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    """Put the configuration of logging, which is the whole process's, back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("pika").setLevel(logging.NOTSET)


@pytest.mark.parametrize("form", ["json", "auto"])
def test_a_json_log_has_one_object_a_line(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, with event, level and UTC time; `auto` without a terminal means the same."""
    logs.configure("info", form)
    structlog.get_logger().info("connected", broker="amqp://u@h:5672/", count=3, name="ü")
    logging.getLogger("somebody").warning("of %s", "Python's own")
    out, err = capsys.readouterr()
    ours, foreign = map(json.loads, err.splitlines())
    assert out == ""
    assert (ours["event"], ours["level"], ours["count"], ours["name"]) == ("connected", "info", 3, "ü")
    assert ours["timestamp"].endswith("Z")
    assert (foreign["event"], foreign["level"]) == ("of Python's own", "warning")


def test_a_text_log_has_no_colours_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "text")
    structlog.get_logger().info("connected", count=3)
    logging.getLogger("somebody").warning("of Python's own")
    ours, foreign = capsys.readouterr().err.splitlines()
    assert "connected" in ours
    assert "count=3" in ours
    assert "of Python's own" in foreign
    assert "\x1b" not in ours


@pytest.mark.parametrize("form", ["json", "text", "auto"])
def test_a_closed_standard_error_costs_lines_and_nothing_else(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sys.stderr` is None then."""
    monkeypatch.setattr(sys, "stderr", None)
    logs.configure("info", form)
    structlog.get_logger().info("connected")
    logging.getLogger("somebody").warning("of Python's own")


def test_lines_under_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither ours nor the standard library's."""
    logs.configure("warning", "json")
    structlog.get_logger().info("no")
    logging.getLogger("somebody").info("no")
    structlog.get_logger().warning("yes")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["yes"]


def test_pika_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """Else pika logs a traceback for each failed try, and the bodies of returned messages."""
    logs.configure("debug", "json")
    logging.getLogger("pika.connection").error("a traceback")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_line_holds_a_password(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of settings, of URLs, or of an error in a function that has a URL."""
    logs.configure("debug", form)
    log = structlog.get_logger()
    settings = Settings.model_validate({"mq_url": URL, "mq_ch": "jobs"})

    def defect(text: str) -> None:
        raise RuntimeError(f"a defect at {len(text)}")

    log.info("settings", settings=settings, url=settings.mq_url, broker=parse_urls(URL), fields=settings.model_dump())
    try:
        defect(URL)
    except RuntimeError as error:
        log.error("defect", exc_info=error)
        log.exception("defect")
        logging.getLogger("somebody").exception("defect")
    shown = capsys.readouterr().err
    assert SECRET not in shown
    assert shown.count("a defect at") >= 3
    assert shown.count("in defect") >= 3


class Hostile:
    """An object that shows itself with escapes."""

    def __repr__(self) -> str:
        return HOSTILE


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "value", [HOSTILE, f"a {HOSTILE}\n", HOSTILE.encode(errors="surrogateescape"), [HOSTILE], Hostile()]
)
def test_a_foreign_value_in_a_log_cannot_act_on_a_terminal(
    value: object, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a field, a field's name, an event, an error; of ours and of the standard library's."""
    logs.configure("info", form)
    log = structlog.get_logger()
    log.info("message", body=value, **{str(value): 1})
    log.info(value)
    logging.getLogger(str(value)).warning("got %s", value, extra={"header": value})
    try:
        raise ValueError(value)
    except ValueError as error:
        error.add_note(str(value))
        log.exception("failed")
        logging.getLogger("somebody").exception("failed")
    lines = capsys.readouterr().err.split("\n")
    assert [line for line in lines if not line.isprintable()] == []
    assert "\\x1b" in lines[0] or "\\u001b" in lines[0]
    assert "body=" in lines[0] or '"body"' in lines[0]


def test_visible_characters_of_every_script_are_written_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "text")
    structlog.get_logger().info("größer", id="日本語-é", body="a b")
    line = capsys.readouterr().err
    assert "größer" in line
    assert "id=日本語-é" in line
    assert "body='a b'" in line


@pytest.mark.parametrize(
    ("variables", "terminal", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
    ],
)
def test_a_text_log_has_colours_where_they_are_wanted(
    variables: dict[str, str],
    terminal: bool,
    coloured: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """See https://no-color.org and https://force-color.org."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"TERM": "xterm"} | variables).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    logs.configure("info", "text")
    structlog.get_logger().info("connected", id=HOSTILE)
    line = capsys.readouterr().err
    assert ("\x1b[" in line) is coloured
    assert "\x1b[2J" not in line


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_in_a_log_is_bounded_and_readable(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In text it has lines; in JSON it is the field `exception`. Its note and the innermost frame are there."""
    logs.configure("info", form)

    def deep(depth: int) -> None:
        if not depth:
            raise ValueError("y" * 10_000)
        deeper(depth - 1)

    def deeper(depth: int) -> None:
        deep(depth - 1)

    try:
        deep(200)
    except ValueError as error:
        error.add_note("a note")
        structlog.get_logger().exception("defect")
        logging.getLogger("somebody").exception("defect")
    shown = capsys.readouterr().err
    first = shown.split("defect", 2)[1] if form == "text" else json.loads(shown.splitlines()[0])["exception"]
    assert len(first) < MAX_BYTES
    assert "\na note" in first
    assert "\n    raise ValueError(" in first


def test_a_value_that_is_no_json_does_not_stop_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    """Headers of messages may hold anything."""
    logs.configure("info", "json")
    structlog.get_logger().info("x", body=b"\xff", thing={1, 2}, bad="\udcff")
    assert json.loads(capsys.readouterr().err)["event"] == "x"


def test_a_quota_writes_so_many_lines_a_second_and_counts_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    """Each second begins anew, and no line is counted twice."""
    logs.configure("info", "json")
    quota = Quota(2)

    def written() -> list[tuple[str, object]]:
        lines = map(json.loads, capsys.readouterr().err.splitlines())
        return [(line["event"], line.get("count", line.get("n"))) for line in lines]

    for n in range(5):
        quota.warn("failed", n=n)
    quota.tick(100.0)
    more = "more of these warnings, not written one by one"
    assert written() == [("failed", 0), ("failed", 1), (more, 3)]
    for n in range(3):
        quota.warn("failed", n=n)
    quota.tick(100.5)
    assert written() == [("failed", 0), ("failed", 1)]
    quota.tick(101.0)
    quota.tick(102.0)
    assert written() == [(more, 1)]


def test_lines_of_a_thread_that_works_on_a_message_have_its_message_and_trace_id(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ours and the standard library's. A field of the line itself wins; lines of other threads have none."""
    logs.configure("info", "json")
    trace = "0af7651916cd43dd8448eb211c80319c"

    def work() -> None:
        logs.subject.set(
            logs.Subject(Message(b"x", message_id="m", headers={"traceparent": f"00-{trace}-{'1' * 16}-01"}))
        )
        structlog.get_logger().info("ours")
        logging.getLogger("somebody").warning("Python's own")
        structlog.get_logger().info("of another", message_id="n")
        logs.subject.set(logs.Subject(Message(b"x", message_id="m", headers={"traceparent": "00-made up\n"})))
        structlog.get_logger().info("without a trace")

    thread = Thread(target=work)
    thread.start()
    thread.join()
    structlog.get_logger().info("elsewhere")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    names = [(line.get("message_id"), line.get("trace_id")) for line in lines]
    assert names == [("m", trace), ("m", trace), ("n", trace), ("m", None), (None, None)]


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
    shown = traceback_of(caught(chained, 2))
    assert shown.index("innermost 8") < shown.index("direct cause") < shown.index("RuntimeError: outer")
    assert "a note of the cause" in shown
    assert "secret = " not in shown
    assert "Zq7Xj9Kv" not in shown


@pytest.mark.parametrize("function", [even, chained])
def test_of_a_long_traceback_the_innermost_frames_of_each_error_are_kept(function: object) -> None:
    """Two functions that call each other are no repetition that Python itself would shorten."""
    shown = traceback_of(caught(function, 200))
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
    shown = traceback_of(error)
    assert 0 < len(shown.encode()) <= MAX_BYTES
    assert type(error).__name__ in shown


def test_the_first_of_each_kind_in_a_minute_has_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind is an exception's type and a place; the next traceback says how many had none."""
    now = 100.0
    monkeypatch.setattr(logs, "monotonic", lambda: now)
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
    monkeypatch.setattr(logs, "monotonic", lambda: now)
    traces = Tracebacks()
    shown = [traces.first(KeyError(), f"f.py:{line}") for line in range(2 * MAX_KINDS)]
    assert [bool(each) for each in shown] == [True] * MAX_KINDS + [False] * MAX_KINDS
    now += PERIOD
    assert traces.first(KeyError(), "g.py:1")
    assert len(traces._kinds) == 1


def test_an_error_that_cannot_be_shown_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called in a handler's thread."""
    monkeypatch.setattr(logs, "format_exception", lambda *_, **__: 1 / 0)
    assert Tracebacks().first(KeyError(), "") == ""
