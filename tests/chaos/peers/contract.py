"""What an adapter is given, and the ledgers that it writes. Runs in the peers' environment: standard library only.

Each adapter has two forms. `first` is its documentation's first page: nothing is caught, so a failed publish ends the
program, and the harness starts it again. `hardened` adds what its documentation offers, and publishes a message again
when the publish raised. A program publishes one message after the other.
"""

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from tests.chaos.ledger import recorder

EVERY = 20  # messages with one among them that a raising handler fails on
SINGLE = "1-100"  # the message that is slow, or kills its process
LONG = 30.0  # seconds: more than two heartbeats of 10 s and a margin
AGAIN = 1.0  # seconds between two tries of a publish
HEARTBEAT = 10  # seconds, where a hardened form can set it
PREFETCH = 10  # where a hardened form can set it
DEAD = "dead"  # the queue of dead letters, where a hardened form can name one
KILLED = 137
_NAME = re.compile(rb"message (\d+-\d+):")


def hardened() -> bool:
    """The form that this process is to have."""
    return os.environ["PEER_FORM"] == "hardened"


def url() -> str:
    """Of the broker: user, password and virtual host are this peer's own."""
    return os.environ["PEER_URL"]


@cache
def _ledger(name: str) -> Callable[[str], None]:
    return recorder(Path(os.environ["PEER_FOLDER"]) / name)


def bodies() -> Iterator[tuple[str, str]]:
    """Names and bodies, PEER_RATE a second at most, until the harness says stop; each on record before it is used."""
    folder, run, pause = Path(os.environ["PEER_FOLDER"]), os.environ["PEER_RUN"], 1 / float(os.environ["PEER_RATE"])
    attempted = _ledger("attempted")
    for number in count(1):
        time.sleep(pause)
        while (folder / "pause").exists() and not (folder / "stop").exists():
            time.sleep(pause)
        if (folder / "stop").exists():
            return
        name = f"{run}-{number}"
        attempted(name)
        yield name, f"message {name}: {'.' * 100}"


async def bodies_async() -> Any:
    """The same for an event loop, which goes on meanwhile."""
    source = bodies()
    while (item := await asyncio.to_thread(next, source, None)) is not None:
        yield item


def sender() -> Callable[[str], None]:
    """To be called with the name of each message that the adapter believes sent."""
    return _ledger("sent")


def until_sent(publish: Callable[[], object]) -> None:
    """Publish; in the hardened form again until it does not raise."""
    while True:
        try:
            publish()
        except Exception as error:
            if not hardened():
                raise
            print(f"again: {error!r}", flush=True)
            time.sleep(AGAIN)
        else:
            return


async def until_sent_async(publish: Callable[[], Awaitable[object]]) -> None:
    """The same for a coroutine."""
    while True:
        try:
            await publish()
        except Exception as error:
            if not hardened():
                raise
            print(f"again: {error!r}", flush=True)
            await asyncio.sleep(AGAIN)
        else:
            return


def name_of(body: bytes) -> str:
    """The name in a body, whatever envelope a library puts around it."""
    found = _NAME.search(body)
    return found[1].decode() if found else "unreadable"


def is_failing(name: str) -> bool:
    """Whether a raising handler fails on it."""
    return int(name.rpartition("-")[2]) % EVERY == EVERY // 2


def seconds(body: str | bytes) -> tuple[str, float]:
    """The name of a message, and how long handling it takes; raises or ends the process where the fault says so."""
    name, kind = name_of(body if isinstance(body, bytes) else body.encode()), os.environ["PEER_HANDLER"]
    bad = {"raise": is_failing(name), "slow": name == SINGLE, "die": name == SINGLE}.get(kind, False)
    if bad:
        _ledger("tried")(name)
    if bad and kind == "raise":
        raise ValueError(f"{name} cannot be handled")
    if bad and kind == "die":
        os._exit(KILLED)
    return name, LONG if bad else float(os.environ["PEER_SECONDS"])


def handle(body: str | bytes) -> None:
    """Work for a while, then put the name on record."""
    name, duration = seconds(body)
    time.sleep(duration)
    _ledger("handled")(name)


async def handle_async(body: str | bytes) -> None:
    """The same for an event loop, which goes on meanwhile."""
    name, duration = seconds(body)
    await asyncio.sleep(duration)
    _ledger("handled")(name)
