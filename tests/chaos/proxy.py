"""A TCP proxy whose network can be made worse while connections live. In a thread of its own."""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from typing import Self

from local.ports import free_port

CHUNK = 64 * 1024


class _Link:
    """One connection: `hole` swallows its bytes, in the directions that it names, for good."""

    def __init__(self, writers: list[asyncio.StreamWriter]) -> None:
        self.writers = writers
        self.hole: set[str] = set()


class Proxy:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`target`. Attributes may be set from any thread."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.latency = 0.0  # seconds, each chunk, each way
        self.rate = 0.0  # bytes a second, each way; 0 is unlimited
        self.chunk = CHUNK  # bytes at a time
        self.mute = False  # new connections are accepted, and nothing more
        self.target = target
        self._links: set[_Link] = set()
        self._swallow: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def swallow(self, *ways: str) -> None:
        """Drop what comes `up` (from the client) and/or `down`, on all connections and on new ones: half open."""
        self._swallow = set(ways)
        for link in list(self._links):
            link.hole = set(ways)

    def heal(self) -> None:
        """Forward again. Connections that lost bytes stay dead, as in a real network."""
        self._swallow = set()
        self.latency, self.rate, self.chunk, self.mute = 0.0, 0.0, CHUNK, False

    def reset(self, most: int | None = None) -> int:
        """Break connections with RST: all, or so many of them at random; how many they were."""
        return asyncio.run_coroutine_threadsafe(self._reset(most), self._loop).result(10)

    async def _reset(self, most: int | None) -> int:
        links = random.sample(list(self._links), len(self._links))[:most]
        for link in links:
            for writer in link.writers:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
        return len(links)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link([writer])
        link.hole = set(self._swallow)
        self._links.add(link)
        try:
            while self.mute:
                if not await reader.read(CHUNK):
                    return
            above, below = await asyncio.open_connection("127.0.0.1", self.target)
            link.writers.append(below)
            ways = [self._pump(link, "up", reader, below), self._pump(link, "down", above, writer)]
            tasks = [asyncio.create_task(way) for way in ways]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(link)
            for each in link.writers:
                each.close()

    async def _pump(self, link: _Link, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(self.chunk):
            delay = self.latency + (len(data) / self.rate if self.rate else 0.0)
            if delay:
                await asyncio.sleep(delay)
            if way in link.hole:
                continue
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            await writer.drain()

    def __enter__(self) -> Self:
        self._thread.start()
        start = asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
