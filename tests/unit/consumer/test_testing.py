"""What `consumer.testing` says of a handler."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from common.message import Message
from consumer.forward import Forward
from consumer.outcome import Ack, Forwarded, Park, Postpone, Postponed, Reject, Retry
from consumer.testing import handled


def test_a_handler_gets_the_message_as_the_consumer_would_give_it() -> None:
    seen: list[object] = []

    def handle(message: Message) -> None:
        seen.extend([message.json(), message.headers["tenant"], message.attempt, message.message_id])
        seen.append(message.content_type)

    assert handled(handle, {"order": 7}, headers={"tenant": "a"}, attempt=3, message_id="m1") == Ack()
    assert seen == [{"order": 7}, "a", 3, "m1", "application/json"]


def test_a_whole_message_may_be_given() -> None:
    given = Message(b"x", headers={"tenant": "a"}, message_id="own")
    assert handled(lambda each: [Forward(each.message_id, to="a")], given) == Forwarded((Forward("own", to="a"),))


@pytest.mark.parametrize(
    ("error", "attempt", "outcome"),
    [
        (ValueError("no"), 1, Retry(1.0, "ValueError: no")),
        (ConnectionError("away"), 2, Retry(2.0, "ConnectionError: away", outage=True)),
        (ValueError("no"), 3, Park("ValueError: no")),
        (Reject("bad"), 1, Park("Reject: bad")),
        (SystemExit(1), 1, Retry(1.0, "SystemExit: 1", outage=True)),
        (Postpone("later", "2s"), 1, Postponed(2.0, "Postpone: later")),
    ],
)
def test_what_a_handler_raises_leads_to_the_outcome_of_the_consumer(
    error: BaseException, attempt: int, outcome: Retry | Park | Postponed
) -> None:
    def handle(_: Message) -> None:
        raise error

    found = handled(handle, attempt=attempt, consumer_retry_delays="1s,2s")
    assert isinstance(found, Retry | Park | Postponed)
    assert type(found)(**{name: getattr(found, name) for name in found.__slots__} | {"where": ""}) == outcome
    assert "test_testing.py:" in found.where


def test_a_postponed_message_that_has_nowhere_to_wait_is_parked() -> None:
    def handle(_: Message) -> None:
        raise Postpone("later")

    outcome = handled(handle, consumer_retry_delays="off")
    assert isinstance(outcome, Park)
    assert outcome.error == "postponed, but CONSUMER_RETRY_DELAYS is off: Postpone: later"


def test_what_cannot_be_forwarded_is_a_failed_attempt() -> None:
    outcome = handled(lambda _: Forward("x" * 11, to="a"), mq_max_body=10)
    assert isinstance(outcome, Retry)
    assert "over MQ_MAX_BODY" in outcome.error


def test_outcomes_are_readable_in_a_report() -> None:
    assert repr(handled(lambda _: Forward({"a": 1}, to="b"))) == "Forwarded(forwards=(Forward({'a': 1}, to='b'),))"


def test_a_keyboard_interrupt_and_the_verdicts_of_pytest_pass_through() -> None:
    def handle(_: Message) -> None:
        pytest.fail("seen by pytest")

    with pytest.raises(pytest.fail.Exception):
        handled(handle)

    def interrupted(_: Message) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        handled(interrupted)


def test_a_handler_may_be_named_as_in_the_setting() -> None:
    assert handled("log", "x") == Ack()


EVENTS: list[str] = []


@contextmanager
def opened() -> Iterator[Callable[[Message], object]]:
    EVENTS.append("set up")
    yield lambda message: Forward(message.body, to="a")
    EVENTS.append("torn down")


@asynccontextmanager
async def opened_async() -> AsyncIterator[Callable[[Message], Awaitable[object]]]:
    EVENTS.append("set up")

    async def handle(message: Message) -> object:
        await asyncio.sleep(0)
        return Forward(message.body, to="a")

    yield handle
    EVENTS.append("torn down")


@pytest.mark.parametrize("handler", [opened, opened_async, f"{__name__}:opened", f"{__name__}:opened_async"])
def test_a_handler_that_is_set_up_is_torn_down_behind_the_message(handler: Callable[..., Any] | str) -> None:
    EVENTS.clear()
    assert handled(handler, b"x") == Forwarded((Forward(b"x", to="a"),))
    assert EVENTS == ["set up", "torn down"]


async def refuses(message: Message) -> None:
    await asyncio.sleep(0)
    raise Reject(message.text)


async def fails(_: Message) -> None:
    raise OSError("away")


def test_an_async_handler_is_judged_as_a_plain_one() -> None:
    park = handled(refuses, b"never")
    assert isinstance(park, Park)
    assert park.error == "Reject: never"
    retry = handled(fails, consumer_retry_delays="1s")
    assert isinstance(retry, Retry)
    assert (retry.delay, retry.error, retry.outage) == (1.0, "OSError: away", True)
    assert retry.where.startswith(__file__)
