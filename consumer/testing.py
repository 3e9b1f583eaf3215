"""Testing: what the consumer would do with a message and your handler, without a broker."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

from common.amqp.topology import Topology
from common.message import ATTEMPT, Message
from consumer.handler import Handle, SetUp, open_handler, prepared, runs_on_loop
from consumer.outcome import Outcome, Postponed, succeeded
from consumer.settings import ConsumerSettings
from consumer.settle import bounded
from consumer.workers import attempt as attempted


def handled(
    handler: Callable[..., Any] | str,
    value: object = b"",
    *,
    headers: Mapping[str, Any] | None = None,
    attempt: int = 1,
    message_id: str = "test-1",
    **settings: Any,
) -> Outcome:
    """Give `handler` a message once, and say what follows: Ack, Forwarded, Retry, Postponed or Park.

    `handler` is what CONSUMER_HANDLER names, or its name: a function, plain or async, or what sets one up, which is
    entered and left around the message. `value` is what a source may yield, also a `Message`.
    `settings` are the consumer's, such as `consumer_retry_delays="1s,2s"`; variables of the environment do not count.
    KeyboardInterrupt and the verdicts of pytest inside of the handler pass through.
    """
    given = {"mq_url": "amqp://none", "mq_ch": "test", **settings}
    if isinstance(handler, str):
        given["consumer_handler"] = handler
    chosen = ConsumerSettings.model_validate(given)
    found = open_handler(chosen) if isinstance(handler, str) else prepared(handler, getattr(handler, "__name__", ""))
    made, delays = Message.of(value, message_id), chosen.consumer_retry_delays
    added = {**(headers or {}), **({ATTEMPT: attempt} if attempt > 1 else {})}
    message = Message.with_origin(made.body, made.origin.changed(added, {}))
    judge = partial(succeeded, queue=chosen.mq_ch, max_body=chosen.mq_max_body)

    def conclude(handle: Handle) -> Outcome:
        return attempted(handle, message, judge, delays, _let_through)

    if runs_on_loop(found):
        outcome = asyncio.run(_on_loop(found, message, conclude))
    else:
        context: Any = found.context if isinstance(found, SetUp) else nullcontext(found)
        with context as given_handler:
            outcome = conclude(found.opened(given_handler) if isinstance(found, SetUp) else given_handler)
    if isinstance(outcome, Postponed):
        topology, now = Topology(chosen.mq_ch, delays), time.time()
        return bounded(outcome, message.original(), topology, now, chosen.consumer_postpone_max_age)
    return outcome


async def _on_loop(found: Handle | SetUp, message: Message, conclude: Callable[[Handle], Outcome]) -> Outcome:
    """Have one task set up, handle and tear down."""
    context: Any = found.context if isinstance(found, SetUp) else nullcontext(found)
    async with context as given:
        handle = found.opened(given) if isinstance(found, SetUp) else given
        error: BaseException | None = None
        returned = None
        try:
            returned = await handle(message)
        except BaseException as raised:  # noqa: BLE001 - it is judged as any handler's
            error = raised

        def ended(_: Message) -> object:
            if error:
                raise error
            return returned

        return conclude(ended)


def _let_through(error: BaseException, _where: str) -> str:
    if not isinstance(error, Exception | SystemExit):
        raise error
    return ""
