"""Async sources: every value once and in order, one task for all of it, and an end wherever it waits."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, nullcontext
from itertools import islice
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.pump import Pump

PATIENCE = 10.0  # seconds


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), max_size=30))
def test_every_value_comes_once_and_in_order(waits: list[bool]) -> None:
    """Whether the source waits before it or not."""

    async def source() -> AsyncIterator[int]:
        for number, wait in enumerate(waits):
            if wait:
                await asyncio.sleep(0)
            yield number

    assert list(Pump(nullcontext(source())).values()) == list(range(len(waits)))


@asynccontextmanager
async def opened(told: list[Any], error: Exception | None = None) -> AsyncIterator[AsyncIterator[int]]:
    told.append(asyncio.current_task())
    async with asyncio.timeout(PATIENCE):
        yield source(told)
    told.append(asyncio.current_task())
    if error:
        raise error


async def source(told: list[Any]) -> AsyncIterator[int]:
    try:
        async with asyncio.timeout(PATIENCE):  # open across each yield, it is bound to its task
            for number in range(10):
                await asyncio.sleep(0)
                told.append(asyncio.current_task())
                yield number
    finally:
        await asyncio.sleep(0)
        told.append("ended")


@pytest.mark.parametrize("taken", [3, 10])
def test_one_task_enters_iterates_and_leaves(taken: int) -> None:
    """The source ends before its context is left, however many values were taken."""
    told: list[Any] = []
    with closing(Pump(opened(told)).values()) as values:  # type: ignore[type-var]
        assert list(islice(values, taken)) == list(range(taken))
    assert len(set(map(str, told))) >= 2
    assert len({each for each in told if each != "ended"}) == 1
    # Where the reader breaks off, the task is cancelled: it leaves the context by that exception.
    assert told.count("ended") == 1


@pytest.mark.parametrize("taken", [2, 20])
def test_an_error_of_the_tear_down_is_raised(taken: int) -> None:
    @asynccontextmanager
    async def failing() -> AsyncIterator[AsyncIterator[int]]:
        try:
            yield source([])
        finally:
            raise ValueError("torn down badly")

    with pytest.raises(ValueError, match="torn down badly"), closing(Pump(failing()).values()) as values:  # type: ignore[type-var]
        list(islice(values, taken))


def test_an_error_of_the_source_is_raised_behind_its_values() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise RuntimeError("the stream is gone")

    values = Pump(nullcontext(broken())).values()
    assert next(values) == 1
    with pytest.raises(RuntimeError, match="the stream is gone"):
        next(values)


@pytest.mark.parametrize("before", [0, 2])
def test_a_stop_ends_a_source_where_it_waits(before: int) -> None:
    """At once, with what it does at its end; all that it has yielded is there."""
    waits, told = Event(), list[str]()

    async def waiting() -> AsyncIterator[int]:
        try:
            for number in range(before):
                yield number
            waits.set()
            await asyncio.sleep(PATIENCE)
            yield -1
        finally:
            await asyncio.sleep(0.01)
            told.append("torn down")

    pump, got = Pump(nullcontext(waiting())), list[object]()
    assert pump.stop() is False
    thread = Thread(target=lambda: got.extend(pump.values()), daemon=True)
    thread.start()
    assert waits.wait(PATIENCE)
    start = time.monotonic()
    assert pump.stop() is True
    thread.join(PATIENCE)
    assert time.monotonic() - start < 2
    assert (got, told) == (list(range(before)), ["torn down"])
    assert pump.stop() is True, "of no effect"


def test_a_stop_while_a_value_is_in_hand_keeps_it_and_ends() -> None:
    told: list[Any] = []
    pump = Pump(nullcontext(source(told)))
    values = pump.values()
    assert next(values) == 0
    pump.stop()
    assert list(values) == []
    assert told[-1] == "ended"


def test_a_context_that_gives_no_async_iterable_is_an_error() -> None:
    with pytest.raises(TypeError, match="gave a list and no async iterable"):
        list(Pump(nullcontext([1, 2])).values())
