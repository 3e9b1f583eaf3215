"""One row's producer and consumer in a trial: on a virtual host and behind a proxy of their own."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import pika

from tests.chaos.checker import Account, account
from tests.chaos.ledger import Ledger
from tests.chaos.peers.broker import Home, Node
from tests.chaos.peers.contract import is_failing, name_of
from tests.chaos.peers.lineup import Entry
from tests.chaos.peers.services import Service
from tests.chaos.proxy import Proxy

RATE = 50  # messages a second
WORK = 0.005  # seconds of handling


class Contestant:
    """Its ledgers: attempted, sent (what the adapter believes), tried, handled."""

    def __init__(self, entry: Entry, python: str, broker: Node, folder: Path, *, handler: str, rate: float) -> None:
        self.entry, self.folder, self._broker, self._handler = entry, folder, broker, handler
        folder.mkdir(parents=True, exist_ok=True)
        self.attempted, self.sent = Ledger(folder / "attempted"), Ledger(folder / "sent")
        self.handled, self.tried = Ledger(folder / "handled"), Ledger(folder / "tried")
        self.home = Home()
        self.proxy = Proxy(broker.ports()[0])
        env = {
            "PEER_URL": self.home.url(self.proxy.port),
            "PEER_FOLDER": str(folder),
            "PEER_FORM": "first" if entry.form == "first" else "hardened",
            "PEER_HANDLER": handler,
            "PEER_RATE": str(rate),
            "PEER_SECONDS": str(WORK),
        }
        interpreter = sys.executable if entry.form == "ours" else python
        module = entry.peer.module
        consume, produce = (
            [interpreter, *(part.replace("{module}", module) for part in parts)]
            for parts in (entry.peer.consume, entry.peer.produce)
        )
        self.consumer = Service(consume, env, folder / "consumer.log")
        self.producer = Service(produce, env, folder / "producer.log")

    def pause(self, *, paused: bool) -> None:
        """Let the producer publish nothing for a while."""
        path = self.folder / "pause"
        path.touch() if paused else path.unlink(missing_ok=True)

    def wanted(self) -> set[str]:
        """What it believes sent, and a handler can handle."""
        return {name for name in self.sent.read().names if not self.is_bad(name)}

    def is_bad(self, name: str) -> bool:
        """Whether no try to handle it can succeed."""
        if self._handler == "raise":
            return is_failing(name)
        return self._handler == "die" and name in self.tried.read().ids

    def missing(self) -> set[str]:
        """What it believes sent and has not handled."""
        return self.wanted() - self.handled.read().ids.keys()

    def take_all(self, queues: Iterable[str]) -> dict[str, list[str]]:
        """The names in each of its queues, which are empty then. Nobody may consume from them any more."""
        found: dict[str, list[str]] = {}
        for queue in queues:
            connection: Any = pika.BlockingConnection(pika.URLParameters(self.home.url(self._broker.ports()[0])))
            channel = connection.channel()
            try:
                while (got := channel.basic_get(queue, auto_ack=True))[0] is not None:
                    found.setdefault(queue, []).append(name_of(got[2]))
            except pika.exceptions.ChannelClosedByBroker:  # exclusive queues, and those deleted meanwhile
                continue
            finally:
                if connection.is_open:
                    connection.close()
        return found

    def account(self, found: dict[str, list[str]]) -> Account:
        """Of every message; `found` lies in queues at the end."""
        left = [name for names in found.values() for name in names if name != "unreadable"]
        sent = self.sent.read().names
        return account(self.attempted.read().names, set(sent), self.handled.read().names, (), left)

    def __enter__(self) -> Self:
        self.proxy.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.producer.close()
        self.consumer.close()
        self.proxy.__exit__()
