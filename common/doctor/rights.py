"""Rights: whether a user may do something, found out without doing it.

It is asked for in a way that the broker refuses afterwards: with an argument that cannot be, or for a queue that is not
there. It looks at the permissions first. Its log tells of each.
"""

from collections.abc import Callable, Sequence
from uuid import uuid4

from pika.channel import Channel

from common.amqp.errors import Kind, Refusal
from common.amqp.topology import Queue
from common.doctor.inquiry import Answer, Question, Questions

IMPOSSIBLE = "no number"  # where the broker wants one


def ask(needed: Sequence[str], queue: str, refused: Callable[[Refusal], object]) -> Questions:
    """Call `refused` with the first of these rights that the user has not."""
    for right in needed:
        reply = yield consume(queue) if right == "consume" else publish
        if isinstance(reply, Refusal) and reply.kind is Kind.PERMISSION:
            refused(reply)
            return


def declare(queue: Queue) -> Question:
    """Whether the user may declare it."""
    arguments = {**queue.all_arguments, "x-expires": IMPOSSIBLE}
    return lambda channel, answer: channel.queue_declare(queue.name, durable=True, arguments=arguments, callback=answer)


def consume(name: str) -> Question:
    """Whether the user may take messages from this queue."""
    arguments = {"x-priority": IMPOSSIBLE}
    return lambda channel, answer: channel.basic_consume(name, lambda *_: None, arguments=arguments, callback=answer)


def publish(channel: Channel, answer: Answer) -> None:
    """Whether the user may send: to a queue that nobody has, so it comes back."""
    channel.confirm_delivery(answer)
    channel.basic_publish("", f"mq-pair.doctor.{uuid4().hex}", b"", mandatory=True)
