"""How long a command waits for the broker."""

import time
from typing import Any

import pytest

from common.amqp.connection import Connection, State
from common.amqp.errors import Kind, Refusal
from consumer.dead_letters.browser import Browser
from consumer.dead_letters.patience import Patience
from consumer.dead_letters.request import DeadLettersSettings
from tests.unit.conftest import Loop

FULL = Refusal(Kind.LIMIT, "limit ( ... )")


def connection_to(process: Loop, settings: DeadLettersSettings) -> Connection:
    visitor: Any = None
    return Browser(process, settings, visitor).connection


def test_a_broker_that_is_not_there_is_tried_once(process: Loop, settings: DeadLettersSettings) -> None:
    """A person sees at once what is wrong."""
    patience, connection = Patience(settings), connection_to(process, settings)
    assert patience.refusal([connection], 0.0, time.monotonic()) is None
    connection.open()
    process.turn(lambda: connection.refusal, "a refusal")
    refusal = patience.refusal([connection], 0.0, time.monotonic())
    assert refusal
    assert refusal.kind is Kind.TCP
    connection.close()


def test_of_several_each_has_its_time(process: Loop, settings: DeadLettersSettings) -> None:
    """MQ_CONNECT_TIMEOUT for each of the others."""
    several = settings.model_copy(update={"mq_url": type(settings.mq_url)("amqp://127.0.0.1:1,amqp://127.0.0.1:2")})
    patience, connection = Patience(several), connection_to(process, several)
    connection.refusal = FULL
    now = time.monotonic()
    assert patience.refusal([connection], 0.0, now) is None
    assert patience.refusal([connection], 0.0, now + several.mq_connect_timeout + 1) == FULL


@pytest.mark.parametrize(
    ("refusal", "waits"),
    [
        (None, True),
        (FULL, True),
        (Refusal(Kind.TOPOLOGY, "312 NO_ROUTE"), True),
        (Refusal(Kind.TOPOLOGY, "404 NOT_FOUND"), False),
        (Refusal(Kind.PERMISSION, "403 ACCESS_REFUSED"), False),
    ],
)
def test_afterwards_only_what_cannot_pass_is_final(
    refusal: Refusal | None, waits: bool, process: Loop, settings: DeadLettersSettings
) -> None:
    """The rest may come right, as long as something moves in MQ_BLOCKED_TIMEOUT."""
    patience, connection = Patience(settings), connection_to(process, settings)
    connection.state = State.OPEN
    assert patience.refusal([connection], 0.0, 0.0) is None
    assert patience.was_open
    connection.state, connection.refusal = State.BACKING_OFF, refusal
    assert (patience.refusal([connection], 100.0, 101.0) is None) is waits
    stalled = patience.refusal([connection], 100.0, 100.0 + settings.mq_blocked_timeout)
    assert stalled
    assert "MQ_BLOCKED_TIMEOUT" in stalled.text or stalled == refusal
