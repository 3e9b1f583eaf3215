"""Handlers and sources that the services under test run; the variable RECORD names the file they write to."""

import json
import os
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Thread

import structlog
from pika import BasicProperties

from common.message import Message
from consumer.forward import Forward
from consumer.outcome import Reject

STEP = 0.01  # seconds
LARGE = 1000  # bytes
QUICK = 300  # calls
_calls = count(1)


def record(message: Message) -> None:
    """Write down what came, in one write."""
    row = {
        "body": message.body.decode("latin-1"),
        "message_id": message.message_id,
        "attempt": message.attempt,
        "age": message.age,
    }
    with Path(os.environ["RECORD"]).open("a") as file:
        file.write(json.dumps(row) + "\n")


def tell(message: Message) -> None:
    """Write down the headers, say a word in the log, and fail at the first attempt."""
    record(message)
    with Path(os.environ["RECORD"] + ".headers").open("a") as file:
        file.write(json.dumps({key: value for key, value in message.headers.items() if isinstance(value, str)}) + "\n")
    structlog.get_logger().info("said by the handler")
    if message.attempt == 1:
        raise ValueError("not yet")


def announced() -> Iterator[int]:
    """Many, and a file at the first."""
    for number in count():
        Path(os.environ["RECORD"]).touch()
        yield number


def parse(message: Message) -> None:
    """Needs a list of numbers."""
    message.parse(list[int])
    record(message)


def depend(message: Message) -> None:
    """Needs something that is away while the file AWAY is there; poison fails always, by an error of either kind."""
    if message.body.startswith(b"poison"):
        raise ValueError("no JSON") if message.body.endswith(b"0") else RuntimeError("cannot be")
    if Path(os.environ["AWAY"]).exists():
        raise ConnectionError("the database is away")
    record(message)


def every_second(message: Message) -> None:
    """What it needs answers every other call."""
    if next(_calls) % 2:
        raise ConnectionError("the database is overloaded")
    record(message)


def leave_a_thread(message: Message) -> None:
    """One that is no daemon, and works for an hour."""
    record(message)
    Thread(target=time.sleep, args=(3600,), daemon=False).start()


def tire(_message: Message) -> None:
    """Quick at first."""
    if next(_calls) > QUICK:
        time.sleep(60)


def fail(message: Message) -> None:
    """Fail always."""
    record(message)
    raise ValueError(f"attempt {message.attempt} does not work")


def reject_bad(message: Message) -> None:
    """Reject what begins with `bad`."""
    record(message)
    if message.body.startswith(b"bad"):
        raise Reject("not for us")


def kill(message: Message) -> None:
    """Take the whole process down with a message that says `kill`."""
    record(message)
    if message.body == b"kill":
        os._exit(9)


def hang(message: Message) -> None:
    """Never end with a message that says `hang`."""
    record(message)
    while message.body == b"hang":
        time.sleep(STEP)


def slow(message: Message) -> None:
    """Work for a moment, then write down what came."""
    time.sleep(STEP)
    record(message)


def weigh(message: Message) -> None:
    """Hold what is large; write down all, with the broker's count of deliveries in the place of their bodies."""
    count = message.headers.get("x-delivery-count", 0)
    named = Message(str(count).encode(), properties=message.properties)
    (hold if len(message.body) > LARGE else record)(named)


def hold_one(message: Message) -> None:
    """Hold what says `hold`; the rest is quick."""
    if message.body == b"hold":
        hold(message)


def hold(message: Message) -> None:
    """Write down what came, and work on it until the test makes the file RECORD.go."""
    record(message)
    go = Path(os.environ["RECORD"] + ".go")
    while not go.exists():
        time.sleep(STEP)


def hold_each(message: Message) -> None:
    """As `hold`, until the file RECORD.go.BODY is there; fail with what then says `fail`."""
    record(message)
    go = Path(f"{os.environ['RECORD']}.go.{message.text}")
    while not go.exists():
        time.sleep(STEP)
    if go.read_text() == "fail":
        raise ValueError("after its channel was lost")


def hold_next(message: Message, first: list[bool] = [True]) -> None:  # noqa: B006 - it is to be kept
    """As `hold`, from the second on: with the first it is quick, and has many sent ahead."""
    (record if first else hold)(message)
    first.clear()


def numbers() -> Iterator[str]:
    """1, 2, 3 without end."""
    return map(str, count(1))


def breaking() -> Iterator[bytes]:
    """Five messages, then an error."""
    yield from (b"1", b"2", b"3", b"4", b"5")
    raise RuntimeError("the source broke")


def betraying() -> Iterator[bytes]:
    """A message, then an error where a variable holds the password."""
    url = os.environ["MQ_URL"]
    yield b"1"
    raise RuntimeError(f"the source broke in {len(url)} ways")


def poisoned() -> Iterator[bytes | Message]:
    """A message among others that no broker takes."""
    yield b"first"
    yield Message(b"poison", properties=BasicProperties(expiration="abc"))
    yield b"last"


def no_number() -> Iterator[bytes | Message]:
    """A message among others with a float that is none."""
    yield b"first"
    yield Message(b"x", headers={"score": float("nan")})
    yield b"last"


def too_many_headers() -> Iterator[Message]:
    """A message of a trace, with properties that fit into no frame."""
    context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    yield Message(b"x", message_id="m", headers={"traceparent": context, "long": "x" * 200_000})


def large() -> Iterator[bytes]:
    """A message among others of 17 MiB."""
    yield b"first"
    yield bytes(17 * 1024 * 1024)
    yield b"last"


def heavy() -> Iterator[bytes]:
    """Messages of 400 kB without end."""
    return (b"%09d" % number + bytes(400_000) for number in count(1))


def ornate() -> Iterator[Message]:
    """Small ones with headers of 60 kB."""
    return (Message(b"x", headers={"long": "x" * 60_000}) for _ in range(2500))


def fail_while_broken(message: Message) -> None:
    """Until the file is gone that says so."""
    if Path(os.environ["RECORD"] + ".broken").exists():
        raise ConnectionError("what it needs is away")
    record(message)


def near_frame() -> Iterator[Message]:
    """Messages whose own headers leave 11, 60 and 300 bytes of a frame."""
    for size in (131_000, 130_950, 130_700):
        yield Message(b"%d" % size, headers={"h": "x" * size}, message_id=f"h{size}")


def forward(message: Message) -> list[Forward]:
    """Forward `value` to each of `places`, with `hold` in the body once the file RECORD.go is there."""
    record(message)
    order = message.json()
    while "hold" in order and not Path(os.environ["RECORD"] + ".go").exists():
        time.sleep(STEP)
    return [Forward(order["value"], **place) for place in order["places"]]


def forward_all(message: Message) -> Forward:
    """Forward all to the queue MQ_CH.out, for the next in a chain."""
    return Forward(message.body, to=f"{os.environ['MQ_CH']}.out")


def inflate(message: Message) -> Forward:
    """Forward a megabyte for each message that says `big`, once the file RECORD.go is there."""
    big = message.body == b"big"
    while big and not Path(os.environ["RECORD"] + ".go").exists():
        time.sleep(STEP)
    return Forward(b"x" * 1_000_000 * big, to=f"{os.environ['MQ_CH']}.out")
