"""Pump: runs an async source on an event loop in the source's thread, and gives its values to a plain `for`."""

import asyncio
from collections.abc import AsyncIterable, Iterator
from contextlib import AbstractAsyncContextManager, suppress


class Pump:
    """One task enters the context, iterates over what that gives, and leaves it.

    So a time-out or a task group that is open across a `yield` stays in its task. The loop turns while a value is
    waited for; it stands still while there is no room for more.
    """

    def __init__(self, context: AbstractAsyncContextManager[object]) -> None:
        self._context = context
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def stop(self) -> bool:
        """Cancel the source where it waits; what it has yielded stays. False before it began. Any thread."""
        if not self._loop or not self._task:
            return False
        with suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._task.cancel)
        return True

    def values(self) -> Iterator[object]:
        """The values, in the thread that iterates. Raises what the source raises."""
        with asyncio.Runner() as runner:
            self._loop = loop = runner.get_loop()
            self._value: asyncio.Future[object] = loop.create_future()
            self._taken: asyncio.Future[None] = loop.create_future()
            self._task = task = loop.create_task(self._run(loop))
            task.add_done_callback(lambda _: self._value.done() or self._value.cancel())
            try:
                while not task.done():
                    with suppress(asyncio.CancelledError):
                        value = loop.run_until_complete(self._value)
                    if self._value.cancelled():
                        break
                    yield value
                    self._value = loop.create_future()
                    if not self._taken.done():  # or the stop came in the same turn
                        self._taken.set_result(None)
            finally:
                task.cancel()
                loop.run_until_complete(asyncio.wait([task]))
                if not task.cancelled():
                    task.result()

    async def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        async with self._context as values:
            if not isinstance(values, AsyncIterable):
                raise TypeError(f"the source's context manager gave a {type(values).__name__} and no async iterable")
            if hasattr(values, "confirmed"):
                raise TypeError("confirmed() of an async source would never be called: write a plain source for it")
            iterator = aiter(values)
            try:
                async for value in iterator:
                    self._taken = loop.create_future()
                    self._value.set_result(value)
                    await self._taken
            finally:
                if close := getattr(iterator, "aclose", None):
                    await close()
