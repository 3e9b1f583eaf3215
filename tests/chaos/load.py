"""The two plugins under test: a source that writes down what it attempts, handlers that write down what they handled.

They run inside the services; CHAOS_* variables name their files.
"""

import asyncio
import os
import time
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from pathlib import Path

from common.message import Message
from consumer.forward import Forward
from tests.chaos.ledger import recorder

NAME, CRC = "chaos-name", "chaos-crc"  # headers
LIMIT = 1_200_000  # MQ_MAX_BODY for `bodies`
LONG = 8.0  # seconds, more than two heartbeats and their margin
EVERY = 20  # messages with one among them that fails


@cache
def _writer(variable: str) -> Callable[[str], None]:
    return recorder(Path(os.environ[variable]))


def _names() -> Iterator[str]:
    """Names until the file CHAOS_STOP is there, each on record before it is used."""
    stop, attempted = Path(os.environ["CHAOS_STOP"]), _writer("CHAOS_ATTEMPTED")
    run = os.environ["CHAOS_RUN"]
    for number in count(1):
        if stop.exists():
            return
        attempted(f"{run}-{number}")
        yield f"{run}-{number}"


def messages() -> Iterator[str]:
    """Small messages: the name and some text."""
    return (f"{name} {'.' * 100}" for name in _names())


def bodies() -> Iterator[Message]:
    """Messages of every awkward size and content; one in 20 is over the limit, and written down as such."""
    shapes = [b"", b"\xff\xfe\x00 not UTF-8 \xc3", os.urandom(1024 * 1024), b"\n\r\0", b"{}"]
    for number, name in enumerate(_names()):
        body = shapes[number % len(shapes)]
        if number % 20 == 13:
            _writer("CHAOS_REFUSED")(name)
            body = bytes(LIMIT + 1)
        yield Message(body, headers={NAME: name, CRC: zlib.crc32(body)})


def name_of(body: bytes, headers: object) -> str:
    """The name of a message, spoilt when its content is not what was sent."""
    if isinstance(headers, dict) and NAME in headers:
        whole = headers[CRC] == zlib.crc32(body)
        return str(headers[NAME]) if whole else f"spoilt-{headers[NAME]}"
    return body.decode(errors="replace").partition(" ")[0]


def record(message: Message) -> None:
    """Handle: write the name down, after CHAOS_SECONDS."""
    time.sleep(float(os.environ.get("CHAOS_SECONDS", "0")))
    _writer("CHAOS_HANDLED")(f"{name_of(message.body, message.headers)} {message.message_id}")


def forwarding(message: Message) -> Forward:
    """Forward to the queue MQ_CH.out, after CHAOS_SECONDS."""
    time.sleep(float(os.environ.get("CHAOS_SECONDS", "0")))
    return Forward(message.body, to=f"{os.environ['MQ_CH']}.out")


def is_poison(name: str) -> bool:
    """One message in EVERY."""
    return int(name.rpartition("-")[2]) % EVERY == EVERY // 2


def is_single_poison(name: str) -> bool:
    """One message of all."""
    return name == "1-400"


async def coroutine(message: Message) -> None:
    """As `raising`, of many that wait at a time."""
    await asyncio.sleep(0.05)
    raising(message)


def raising(message: Message) -> None:
    """Poison always fails."""
    name = name_of(message.body, message.headers)
    if is_poison(name):
        _writer("CHAOS_TRIED")(f"{name} {message.message_id}")
        raise ValueError(f"poison, attempt {message.attempt}")
    record(message)


def depending(message: Message) -> None:
    """Needs something that is away while the file CHAOS_AWAY is there; poison always fails."""
    if is_poison(name_of(message.body, message.headers)):
        raise ValueError("poison")
    if Path(os.environ["CHAOS_AWAY"]).exists():
        raise ConnectionError("the database is away")
    record(message)


def killing(message: Message) -> None:
    """One message ends its process each time, as the out-of-memory killer would."""
    name = name_of(message.body, message.headers)
    if is_single_poison(name):
        _writer("CHAOS_TRIED")(f"{name} {message.message_id}")
        os._exit(137)
    record(message)


def hanging(message: Message) -> None:
    """One message never comes to an end."""
    name = name_of(message.body, message.headers)
    if is_single_poison(name):
        _writer("CHAOS_TRIED")(f"{name} {message.message_id}")
        time.sleep(3600)
    record(message)


def slow(message: Message) -> None:
    """One message takes longer than a dead connection takes to be noticed."""
    name = name_of(message.body, message.headers)
    if is_single_poison(name):
        _writer("CHAOS_TRIED")(f"{name} {message.message_id}")
        time.sleep(LONG)
    record(message)
