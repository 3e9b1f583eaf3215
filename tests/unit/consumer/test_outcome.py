"""What a handler's end means."""

import json
from concurrent.futures import Future
from functools import partial
from multiprocessing.pool import AsyncResult, ThreadPool

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.message import BodyError, Message
from consumer.forward import Forward, NotForwarded
from consumer.outcome import (
    ACK,
    ERROR_LENGTH,
    Forwarded,
    Park,
    Postpone,
    Postponed,
    Reject,
    Retry,
    check_returned,
    decide,
    describe,
    location,
    succeeded,
)

DELAYS = st.lists(st.floats(0.001, 1e6), max_size=20)
ATTEMPTS = st.integers(1, 2**63)
ERRORS = st.sampled_from([ValueError, KeyError, SystemExit, KeyboardInterrupt, OSError, RecursionError])


@given(ERRORS, st.text(), ATTEMPTS, DELAYS)
def test_a_failed_attempt_is_retried_after_its_delay_and_the_last_is_parked(
    kind: type[BaseException], text: str, attempt: int, delays: list[float]
) -> None:
    """The first waits the first delay, and so on; never an attempt more than there are delays."""
    outcome = decide(kind(text), attempt, delays)
    if attempt <= len(delays):
        assert outcome == Retry(delays[attempt - 1], describe(kind(text)), "", kind not in (ValueError, KeyError))
    else:
        assert outcome == Park(describe(kind(text)), "", kind not in (ValueError, KeyError))


@given(ATTEMPTS, DELAYS, st.text())
def test_a_rejected_message_is_parked_at_once(attempt: int, delays: list[float], text: str) -> None:
    """At any attempt, by any kind of `Reject`, and one whose body does not fit."""

    class Mine(Reject):
        pass

    for error in (Reject(text), Mine(text), BodyError(text)):
        assert isinstance(decide(error, attempt, delays), Park)
        assert isinstance(decide(error, 1, [5.0]), Park), "though a retry is left"


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (RuntimeError("a client library's own"), True),
        (json.JSONDecodeError("no JSON", "x", 0), False),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "no text"), False),
        (KeyError("order"), False),
        (TypeError(), False),
        (type("BadAnswer", (OSError, ValueError), {})(), True),
    ],
)
def test_an_error_of_the_content_is_no_sign_of_an_outage(error: Exception, outage: bool) -> None:
    """A connection's is, also where a client library makes it a ValueError too (requests' JSONDecodeError)."""
    retry, park = decide(error, 1, [5.0]), decide(error, 2, [5.0])
    assert isinstance(retry, Retry)
    assert isinstance(park, Park)
    assert retry.outage is park.outage is outage


@given(ATTEMPTS, DELAYS)
def test_a_postponed_message_is_tried_again_without_an_attempt_at_any_attempt(
    attempt: int, delays: list[float]
) -> None:
    for error, delay in ((Postpone("closed until nine", delay="30s"), 30.0), (Postpone("closed until nine"), 0.0)):
        assert decide(error, attempt, delays) == Postponed(delay, "Postpone: closed until nine")


def test_a_delay_that_is_no_duration_is_refused_where_it_is_raised() -> None:
    with pytest.raises(ValueError, match="a duration is a number and its unit"):
        Postpone("later", delay="soon")


@given(ERRORS, st.text(st.characters(), max_size=2000))
def test_a_description_is_one_bounded_line_that_a_header_can_hold(kind: type[BaseException], text: str) -> None:
    """Names of files may hold what is no UTF-8, and messages may be as long as books."""
    said = describe(kind(text))
    assert said.startswith(kind.__name__)
    assert len(said) <= ERROR_LENGTH
    assert said.encode().decode() == said
    assert len(said.splitlines()) == 1


def test_a_description_names_type_and_text() -> None:
    """Of an error without a text its type."""
    assert describe(ValueError("no\n  such  tenant")) == "ValueError: no such tenant"
    assert describe(ValueError()) == "ValueError"
    assert describe(Reject("bad")) == "Reject: bad"


def test_a_description_too_long_for_a_header_ends_with_an_ellipsis() -> None:
    head = "ValueError: "
    whole = "x" * (ERROR_LENGTH - len(head))
    assert describe(ValueError(whole)) == head + whole
    assert describe(ValueError(whole + "yz")) == head + whole[:-1] + "…"


def test_an_error_that_cannot_even_be_printed_is_described() -> None:
    """It is the user's code, and must not take the worker with it."""

    class OddError(Exception):
        def __str__(self) -> str:
            return str(self.args[7])

    assert decide(OddError(), 1, [5.0]) == Retry(5.0, "OddError", outage=True)


def test_the_place_of_an_error_is_where_it_was_raised() -> None:
    """Not where it was caught; empty when it never was."""

    def inner() -> None:
        raise ValueError

    try:
        inner()
    except ValueError as error:
        raised = error
    assert location(raised) == f"{__file__}:{inner.__code__.co_firstlineno + 1}"
    assert location(ValueError()) == ""


@pytest.mark.parametrize(
    ("library", "module"),
    [
        ("/v/site-packages/lib.py", "lib"),
        ("/v/dist-packages/lib.py", "lib"),
        ("<string>", "made"),
        ("/app/x.py", "common.x"),
    ],
)
def test_the_place_of_an_error_is_the_users_last_line(library: str, module: str) -> None:
    """Whoever looks for it knows their own lines."""

    def user(depth: int) -> None:
        if depth:
            user(depth - 1)
        exec(compile("raise ValueError", library, "exec"), {"__name__": module})

    with pytest.raises(ValueError) as raised:  # noqa: PT011 - any
        user(1)
    assert location(raised.value) == f"{__file__}:{user.__code__.co_firstlineno + 3}"


def test_the_place_of_an_error_in_a_library_is_the_users_line() -> None:
    """Whoever looks for it knows their own lines; and of libraries alone the last one is better than none."""

    def handle(message: Message) -> None:
        message.json()

    errors = []
    for call, body in ((handle, Message(b"{")), (json.loads, b"{")):
        try:
            call(body)
        except ValueError as error:
            errors.append(error)
    assert location(errors[0]) == f"{__file__}:{handle.__code__.co_firstlineno + 1}"
    errors[1].__traceback__ = errors[1].__traceback__.tb_next  # type: ignore[union-attr]
    assert "/json/decoder.py:" in location(errors[1])


@pytest.mark.parametrize("finished", [None, True, 0, 3, 0.5, "done", b"", b"done"])
def test_nothing_and_finished_values_are_a_success(finished: object) -> None:
    assert check_returned(finished) == ()
    assert succeeded(finished, Message(b"")) is ACK


@pytest.mark.parametrize("nothing", [[], ()])
def test_a_list_of_no_forwards_is_a_success(nothing: object) -> None:
    """A handler may find nothing to forward."""
    assert succeeded(nothing, Message(b"")) is ACK


@pytest.mark.parametrize("kind", [list, tuple])
def test_forwards_are_a_success_once_their_messages_are_confirmed(kind: type) -> None:
    forwards = Forward(b"one", to="a"), Forward("two", exchange="x", routing_key="k")
    outcome = succeeded(kind(forwards), Message(b"", message_id="m1"), "jobs")
    assert outcome == Forwarded(forwards)
    assert isinstance(outcome, Forwarded)
    assert [each.body for each in outcome.messages] == [b"one", b"two"]
    assert outcome.size == 6
    assert succeeded(forwards[0], Message(b"")) == Forwarded(forwards[:1])


def test_a_destination_that_fails_may_be_an_outage_and_parks_nothing_then() -> None:
    outcome = decide(NotForwarded("full"), 1, [5.0])
    assert isinstance(outcome, Retry)
    assert outcome.outage


UNFINISHED = [
    Future(),
    map(str, []),
    filter(None, []),
    iter([]),
    [Future()],
    {"all": Future()},
    [Forward(b"x", to="out"), None],
    [None],
    [[]],
    partial(print),
    print,
]


@pytest.mark.parametrize("unfinished", [*UNFINISHED, ValueError("returned"), NotImplemented])
def test_what_may_hide_unfinished_work_or_an_error_is_no_success(unfinished: object) -> None:
    """A list is one of futures perhaps. The error says what was returned and what to do."""
    with pytest.raises(TypeError, match=f"returned a {type(unfinished).__qualname__}, .* wait for its result"):
        check_returned(unfinished)


def test_the_result_of_a_pool_is_no_success() -> None:
    with ThreadPool(1) as pool, pytest.raises(TypeError, match=f"a {AsyncResult.__qualname__}"):
        check_returned(pool.apply_async(print))


def test_a_returned_false_is_no_success() -> None:
    """Many functions say by it that they failed."""
    with pytest.raises(TypeError, match="returned False: raise an exception"):
        check_returned(False)
