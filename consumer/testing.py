"""Testing: what the consumer would do with a message and your handler, without a broker."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from common.amqp.topology import Topology
from common.message import ATTEMPT, Message
from consumer.handler import open_handler
from consumer.outcome import Outcome, Postponed, succeeded
from consumer.settings import ConsumerSettings
from consumer.settle import bounded
from consumer.workers import attempt as attempted


def handled(
    handler: Callable[[Message], object] | str,
    value: object = b"",
    *,
    headers: Mapping[str, Any] | None = None,
    attempt: int = 1,
    message_id: str = "test-1",
    **settings: Any,
) -> Outcome:
    """Give `handler` a message once, and say what follows: Ack, Forwarded, Retry, Postponed or Park.

    `handler` is a callable, or what CONSUMER_HANDLER names. `value` is what a source may yield, also a `Message`.
    `settings` are the consumer's, such as `consumer_retry_delays="1s,2s"`; variables of the environment do not count.
    KeyboardInterrupt and the verdicts of pytest inside of the handler pass through.
    """
    given = {"mq_url": "amqp://none", "mq_ch": "test", **settings}
    if isinstance(handler, str):
        given["consumer_handler"] = handler
    chosen = ConsumerSettings.model_validate(given)
    # The one place where what CONSUMER_HANDLER may name besides functions is opened, and closed, for a test.
    handle = open_handler(chosen) if isinstance(handler, str) else handler
    made, delays = Message.of(value, message_id), chosen.consumer_retry_delays
    added = {**(headers or {}), **({ATTEMPT: attempt} if attempt > 1 else {})}
    message = Message.with_origin(made.body, made.origin.changed(added, {}))
    judge = partial(succeeded, queue=chosen.mq_ch, max_body=chosen.mq_max_body)
    outcome = attempted(handle, message, judge, delays, _let_through)
    if isinstance(outcome, Postponed):
        topology, now = Topology(chosen.mq_ch, delays), time.time()
        return bounded(outcome, message.original(), topology, now, chosen.consumer_postpone_max_age)
    return outcome


def _let_through(error: BaseException, _where: str) -> str:
    if not isinstance(error, Exception | SystemExit):
        raise error
    return ""
