"""What a broker answers to somebody who is logged in: queues, permissions, alarms. Nothing here changes the broker.

Whether a user may do something is found out without doing it: by a request with an impossible argument, or for a queue
that is not there. The broker looks at the permissions first, and refuses the rest afterwards. Its log tells of each.
"""

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from pika import spec
from pika.channel import Channel
from pika.connection import Connection

from common.amqp.errors import ADVICE, STREAM, BrokerError, Kind, explain
from common.amqp.plain import BROKERS_CONSUMER_TIMEOUT, consumer_timeout
from common.amqp.topology import ABSENT_MAX, Queue, Topology, can_be_refused
from common.doctor.report import Check, Status, refused
from common.process.run import Process
from common.settings.types import format_duration

T = TypeVar("T")
Answer = Callable[[object], None]
Request = Callable[[Channel, Answer], object]  # sends something on an open channel, and passes the reply to `Answer`
Requests = Generator[Request, Any, T]  # yields requests, and is sent the reply to each, or the `BrokerError`
Report = Callable[[Check], None]

IMPOSSIBLE = "no number"  # where the broker wants one
PARKED = "the headers mq-last-error and mq-first-error of each say why"
NOT_CONSUMED = "does the consumer run? its /readyz says what it waits for"
# Its kind is that of what cannot be known now.
NOT_ASKED = BrokerError(Kind.LIMIT, "not asked: MQ_CH is too long for the broker to refuse it by name")
DROPS = "as an earlier version declared it, without x-overflow: a length limit by a policy would drop parked messages"
ALARM = "free memory or disk on the broker (rabbitmq-diagnostics alarms); the services wait, and keep what they have"
# How to give a permission that is missing.
GIVE = {
    "consume": "give the user read on the queue",
    "publish": "give the user write on amq.default: all that the two services send goes through it",
}
INEQUIVALENT = re.compile(
    r"(?s)inequivalent arg '(?P<argument>.+?)' for queue '(?P<queue>.+)' in vhost '.*': "
    r"received (?P<wanted>.+) but current is (?P<found>.+)"
)


class Requester:
    """Sends requests one after the other, each on a channel of its own, which an error closes. I/O thread only."""

    def __init__(
        self, connection: Connection, process: Process, requests: Requests[None], on_end: Callable[[], None]
    ) -> None:
        """Begin; `on_end` is called after the last reply."""
        self._connection, self._guarded = connection, process.guarded
        self._requests, self._on_end = requests, on_end
        self._channel: Channel | None = None  # on which a request waits for its reply
        self._next(None)

    def answer(self, reply: object) -> None:
        channel, self._channel = self._channel, None
        if channel:
            if channel.is_open:
                channel.close()
            self._next(reply)

    def _next(self, reply: object) -> None:
        try:
            request = self._requests.send(reply)
        except StopIteration:
            self._on_end()
            return

        def send(channel: Channel) -> None:
            request(channel, self._guarded(lambda reply: self._answered(channel, reply)))

        self._channel = self._connection.channel(on_open_callback=self._guarded(send))
        closed = self._guarded(lambda channel, error: self._answered(channel, explain(error)))
        self._channel.add_on_close_callback(closed)

    def _answered(self, channel: Channel, reply: object) -> None:
        # What ends the connection closes the channel too; the owner of the connection sees that.
        if channel is self._channel and self._connection.is_open:
            self.answer(reply)


def may_declare(queue: Queue) -> Request:
    """Whether the user may declare `queue`."""
    arguments = {**queue.all_arguments, "x-expires": IMPOSSIBLE}
    return lambda channel, answer: channel.queue_declare(queue.name, durable=True, arguments=arguments, callback=answer)


def may_consume(name: str) -> Request:
    """Whether the user may take messages from the queue `name`."""
    arguments = {"x-priority": IMPOSSIBLE}
    return lambda channel, answer: channel.basic_consume(name, lambda *_: None, arguments=arguments, callback=answer)


def may_publish(channel: Channel, answer: Answer) -> None:
    """Whether the user may publish: to a queue that does not exist, so the message comes back."""
    channel.confirm_delivery(answer)
    channel.basic_publish("", f"mq-pair.doctor.{uuid4().hex}", b"", mandatory=True)


def is_same(queue: str, arguments: Mapping[str, object]) -> Request:
    """Whether a queue that is there has these arguments; one that is not there is never made.

    Somebody may have deleted it, as we advise, and another in its place might be wrong as well. So it is asked in the
    same breath whether it is there; where it is not, the broker closes the channel before it reads the second frame.
    """

    def send(channel: Channel, answer: Answer) -> None:
        channel.queue_declare(queue, passive=True)
        channel.queue_declare(queue, durable=True, arguments=dict(arguments), callback=answer)

    return send


def first_missing(needed: Sequence[str], queue: str) -> Requests[BrokerError | None]:
    """Why one of `needed` (consume, publish) is refused to the user, or by a stream; None when all are granted."""
    # For a producer too: only to who may consume does a stream tell that it is one.
    for permission in dict.fromkeys(("consume", *needed)) if needed else ():
        if permission == "consume" and not can_be_refused(queue):
            continue
        reply = yield may_consume(queue) if permission == "consume" else may_publish
        missing = permission in needed and _kind(reply) is Kind.PERMISSION
        if isinstance(reply, BrokerError) and (missing or STREAM in reply.text):
            return reply
    return None


def difference(queues: Sequence[Queue], broker_error: BrokerError) -> Requests[BrokerError]:
    """`broker_error`, with all arguments in which a queue differs. AMQP names one at a time: ask again with each."""
    arguments = {queue.name: dict(queue.all_arguments) for queue in queues}
    found: dict[str, str] = {}
    reply, text = broker_error, broker_error.text
    while isinstance(reply, BrokerError) and (match := INEQUIVALENT.search(reply.text)):
        name, queue, value = match["argument"], match["queue"], parse_value(match["found"])
        wanted = arguments.get(queue, {})
        if name in found or not name.startswith("x-") or not wanted:
            break
        if isinstance(wanted.get(name), int) and isinstance(value, str) and value.isdigit():
            value = int(value)  # the broker gives no type with some
        found[name] = f"{name} is {value!r} and not {wanted.get(name)!r}"
        text = f"406 PRECONDITION_FAILED - queue {queue}: {'; '.join(found.values())}"
        wanted[name] = value
        reply = yield is_same(queue, {name: value for name, value in wanted.items() if value is not None})
    if "inequivalent arg" not in broker_error.text:
        return broker_error
    return BrokerError(Kind.TOPOLOGY, text, ADVICE[Kind.TOPOLOGY])


def parse_value(text: str) -> str | int | None:
    """`5000` of "the value '5000' of type 'signedint'", None of "none"."""
    if text == "none":
        return None
    match = re.fullmatch(r"(?:the value )?'(.*?)'(?: of type '(\w+)')?", text, re.DOTALL)
    value, kind = match.groups() if match else (text, None)
    return int(value) if kind not in (None, "longstr", "bool") and re.fullmatch(r"-?\d+", value) else value


def check_broker(topology: Topology, mode: str, needed: Sequence[str], report: Report) -> Requests[None]:
    """The queues, the permissions, and last the alarms: a connection that is blocked gets no more replies."""
    for queue in topology.queues:
        if mode == "create" and not can_be_refused(queue.name, ABSENT_MAX):
            report(Check(f"queue {queue.name}", Status.NOTE, NOT_ASKED.text))
        else:
            report((yield from _check_queue(queue, topology, mode)))
    main = next(queue for queue in topology.queues if queue.name == topology.name)
    replies: dict[str, object] = dict.fromkeys(("declare", "consume"), NOT_ASKED)
    if can_be_refused(main.name):
        replies = {"declare": (yield may_declare(main)), "consume": (yield may_consume(main.name))}
    consume = replies["consume"]
    if isinstance(consume, BrokerError) and STREAM in consume.text:
        report(refused("stream", consume))
    alarm = replies["publish"] = yield may_publish
    if _kind(alarm) is not Kind.LIMIT:
        alarm = yield lambda _, answer: answer(None)
    report(_check_permissions(replies, needed))
    if isinstance(alarm, BrokerError):
        report(Check("alarms", Status.WARNING, alarm.text, ALARM))
    else:
        report(Check("alarms", Status.OK, "none"))


def check_consumer_timeout(version: str, handler_timeout: float) -> Check:
    """Whether the broker waits for handlers of `handler_timeout` seconds. No broker tells its own time to a client."""
    asked, handler = (format_duration(each) for each in (consumer_timeout(handler_timeout), handler_timeout))
    if [int(part) for part in re.findall(r"\d+", version)[:2]] >= [4, 3]:
        return Check("handlers", Status.OK, f"the consumer asks for {asked}; CONSUMER_HANDLER_TIMEOUT is {handler}")
    default = format_duration(BROKERS_CONSUMER_TIMEOUT)
    text = f"RabbitMQ {version} waits for its own consumer_timeout, by default {default}; handlers need up to {asked}"
    if consumer_timeout(handler_timeout) > BROKERS_CONSUMER_TIMEOUT:
        advice = f"raise the broker's consumer_timeout, or lower CONSUMER_HANDLER_TIMEOUT ({handler})"
        return Check("handlers", Status.WARNING, text, advice)
    return Check("handlers", Status.OK, text)


def _check_queue(queue: Queue, topology: Topology, mode: str) -> Requests[Check]:
    name = f"queue {queue.name}"
    there = yield lambda channel, answer: channel.queue_declare(queue.name, passive=True, callback=answer)
    if isinstance(there, BrokerError):
        if mode == "create" and "NOT_FOUND" in there.text:
            if can_be_refused(queue.name):
                there = yield may_declare(queue)
            if _kind(there) not in {Kind.PERMISSION, Kind.LIMIT}:
                return Check(name, Status.NOTE, "not there yet: the services make it")
        return refused(name, there, fatal=mode != "none")
    found = _check_counts(name, there.method, topology)
    same = yield is_same(queue.name, queue.all_arguments)
    if isinstance(same, BrokerError) and (older := topology.adapted(same)) is not topology:
        same = yield is_same(queue.name, older.queues[0].all_arguments)
        if not isinstance(same, BrokerError):
            return Check(name, Status.WARNING, f"{found.text}\n{DROPS}", topology.advice)
    if not isinstance(same, BrokerError):
        arguments = ", ".join(f"{name} {value!r}" for name, value in queue.all_arguments.items())
        return found._replace(text=f"{found.text}\nas wanted: {arguments}")
    if same.kind is Kind.PERMISSION and mode != "create":
        return found._replace(text=f"{found.text}\nits arguments cannot be seen by a user who may not declare it")
    differs = refused(name, (yield from difference([queue], same)), fatal=mode == "create")
    return differs._replace(text=f"{found.text}\n{differs.text}")


def _check_counts(name: str, declared: spec.Queue.DeclareOk, topology: Topology) -> Check:
    messages, consumers = declared.message_count, declared.consumer_count
    text = f"{messages:,} message{'s' * (messages != 1)}, {consumers:,} consumer{'s' * (consumers != 1)}"
    text += " (up to three are one process)" * (consumers > 1)
    if messages and declared.queue == topology.dead:
        return Check(name, Status.WARNING, f"{text}, parked", PARKED)
    if messages and not consumers and declared.queue == topology.name:
        return Check(name, Status.WARNING, text, NOT_CONSUMED)
    return Check(name, Status.OK, text)


def _check_permissions(replies: dict[str, object], needed: Sequence[str]) -> Check:
    """`needed` does not hold `declare`: the checks of the queues say whether that one is in the way."""
    words: dict[Kind | None, str] = {Kind.PERMISSION: "may not", Kind.LIMIT: "not known now:"}
    found: dict[str, list[str]] = {"may": []}
    for what, reply in replies.items():
        found.setdefault(words.get(_kind(reply), "may"), []).append(what)
    text = "; ".join(f"{word} {', '.join(which)}" for word, which in found.items() if which)
    advice = [GIVE[permission] for permission in needed if permission in found.get("may not", [])]
    if advice:
        return Check("permissions", Status.FAILED, text, "; ".join(advice), exit_code=int(Kind.PERMISSION))
    return Check("permissions", Status.OK, text)


def _kind(reply: object) -> Kind | None:
    return reply.kind if isinstance(reply, BrokerError) else None
