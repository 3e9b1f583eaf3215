"""Async handlers and sources, and context managers that give them, for the services under test."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from common.message import Message
from common.plugins import ConfigError
from consumer.outcome import Reject
from tests.system.plugins import STEP, record


def note(word: str) -> None:
    """Write down what happens, between the messages."""
    with Path(os.environ["RECORD"]).open("a") as file:
        file.write(json.dumps({"body": word}) + "\n")


async def go(name: str) -> None:
    """Wait for the file RECORD.go.NAME."""
    while not Path(f"{os.environ['RECORD']}.go.{name}").exists():
        await asyncio.sleep(STEP)


async def handle(message: Message) -> None:
    """Wait a moment; then as the body says."""
    await asyncio.sleep(STEP)
    text = message.text
    if text == "fail" and message.attempt == 1:
        raise ValueError("not yet")
    if text == "reject":
        raise Reject("not for us")
    if text == "long" and message.attempt == 1:
        await asyncio.sleep(3600)
    if text.startswith("hold"):
        record(message)
        await go(text)
    if text == "block":
        record(message)
        time.sleep(3600)
    record(message)


def plain(message: Message) -> None:
    """As the other, in a thread."""
    asyncio.run(handle(message))


@contextmanager
def opened() -> Iterator[Callable[[Message], None]]:
    """As below."""
    asyncio.run(begin())
    yield plain
    asyncio.run(end())


@asynccontextmanager
async def opened_async() -> AsyncIterator[Callable[[Message], Awaitable[None]]]:
    """Set up when the file is there, and torn down when the next one is."""
    await begin()
    yield handle
    await end()


async def begin() -> None:
    """Fail as FAILS says."""
    note("setting up")
    if os.environ.get("FAILS") == "config":
        raise ConfigError("SHOP_DB: name the database")
    if os.environ.get("FAILS"):
        raise ConnectionError("no database")
    await go("set-up")
    note("set up")


async def end() -> None:
    """While all that was handled is on record."""
    note("tearing down")
    await go("tear-down")
    note("torn down")


async def numbers() -> AsyncIterator[str]:
    """COUNT of them, with a wait now and then."""
    for number in range(int(os.environ["COUNT"])):
        if number % 50 == 0:
            await asyncio.sleep(STEP)
        yield f"{number}"


@asynccontextmanager
async def source_async() -> AsyncIterator[AsyncIterator[str]]:
    """The numbers, then a wait that only a cancel ends."""
    await begin()
    try:
        yield endless()
    finally:
        await end()


async def endless() -> AsyncIterator[str]:
    """COUNT of them, and no end."""
    async for number in numbers():
        yield number
    await asyncio.sleep(3600)


@contextmanager
def source() -> Iterator[Iterator[str]]:
    """COUNT of them."""
    asyncio.run(begin())
    yield (str(number) for number in range(int(os.environ["COUNT"])))
    asyncio.run(end())
