"""What the broker is asked once somebody is logged in. Nothing of it changes anything on the broker."""

from collections.abc import Callable, Sequence

from pika import spec

from common.amqp.difference import Difference, compare
from common.amqp.errors import Kind, Refusal, broker_said
from common.amqp.topology import Queue, Topology
from common.doctor import rights
from common.doctor.check import Check, Verdict, refused
from common.doctor.inquiry import Questions

Tell = Callable[[Check], None]
PARKED = "the headers mq-last-error and mq-first-error of each say why"
NOT_CONSUMED = "does the consumer run? its /readyz says what it waits for"
ALARM = "free memory or disk on the broker (rabbitmq-diagnostics alarms); the services wait, and keep what they have"
# How to give a right that is missing.
GIVE = {
    "consume": "give the user read on the queue",
    "publish": "give the user write on amq.default: all that the two services send goes through it",
}


def questions(topology: Topology, mode: str, needed: Sequence[str], tell: Tell) -> Questions:
    """The queues, the permissions, and last the alarms: a connection that is blocked gets no more answers."""
    for queue in topology.queues:
        yield from _queue(queue, topology, mode, tell)
    main = next(queue for queue in topology.queues if queue.name == topology.name)
    replies = {"declare": (yield rights.declare(main)), "consume": (yield rights.consume(main.name))}
    alarm = replies["publish"] = yield rights.publish
    if _kind(alarm) is not Kind.LIMIT:
        alarm = yield lambda _, answer: answer(None)
    tell(_permissions(replies, needed))
    if isinstance(alarm, Refusal):
        tell(Check("alarms", Verdict.WARNING, alarm.text, ALARM))
    else:
        tell(Check("alarms", Verdict.OK, "none"))


def _queue(queue: Queue, topology: Topology, mode: str, tell: Tell) -> Questions:
    name = f"queue {queue.name}"
    there = yield lambda channel, answer: channel.queue_declare(queue.name, passive=True, callback=answer)
    if isinstance(there, Refusal):
        if mode == "create" and "NOT_FOUND" in there.text:
            there = yield rights.declare(queue)
            if _kind(there) is not Kind.PERMISSION:
                tell(Check(name, Verdict.NOTE, "not there yet: the services make it"))
                return
        tell(refused(name, there, fatal=mode != "none"))
        return
    found = _counts(name, there.method, topology)
    same = yield lambda channel, answer: compare(channel, queue.name, queue.all_arguments, answer)
    if not isinstance(same, Refusal):
        tell(found._replace(text=f"{found.text}\n{_written(queue)}"))
    elif same.kind is Kind.PERMISSION and mode != "create":
        tell(found._replace(text=f"{found.text}\nits arguments cannot be seen by a user who may not declare it"))
    else:
        text = same.text
        if "inequivalent arg" in text:
            text = yield lambda channel, answer: Difference(channel.connection, [queue], text, answer)
        differs = refused(name, broker_said(text) or same, fatal=mode == "create")
        tell(differs._replace(text=f"{found.text}\n{differs.text}"))


def _counts(name: str, declared: spec.Queue.DeclareOk, topology: Topology) -> Check:
    messages, consumers = declared.message_count, declared.consumer_count
    text = f"{messages:,} message{'s' * (messages != 1)}, {consumers:,} consumer{'s' * (consumers != 1)}"
    text += " (up to three are one process)" * (consumers > 1)
    if messages and declared.queue == topology.dead:
        return Check(name, Verdict.WARNING, f"{text}, parked", PARKED)
    if messages and not consumers and declared.queue == topology.name:
        return Check(name, Verdict.WARNING, text, NOT_CONSUMED)
    return Check(name, Verdict.OK, text)


def _written(queue: Queue) -> str:
    return "as wanted: " + ", ".join(f"{name} {value!r}" for name, value in queue.all_arguments.items())


def _permissions(replies: dict[str, object], needed: Sequence[str]) -> Check:
    """Whether a right that MQ_TOPOLOGY=create needs is missing was said of the queues."""
    words: dict[Kind | None, str] = {Kind.PERMISSION: "may not", Kind.LIMIT: "not known now:"}
    found: dict[str, list[str]] = {"may": []}
    for what, reply in replies.items():
        found.setdefault(words.get(_kind(reply), "may"), []).append(what)
    text = "; ".join(f"{word} {', '.join(which)}" for word, which in found.items() if which)
    advice = [GIVE[right] for right in needed if right in found.get("may not", [])]
    if advice:
        return Check("permissions", Verdict.FAILED, text, "; ".join(advice), exit_code=int(Kind.PERMISSION))
    return Check("permissions", Verdict.OK, text)


def _kind(reply: object) -> Kind | None:
    return reply.kind if isinstance(reply, Refusal) else None
