"""A producer and a consumer as processes of this machine, which a test may kill, stop and start again."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.chaos.checker import known_confirmed
from tests.chaos.ledger import Ledger
from tests.processes import Process, until

SETTINGS = {
    "MQ_HEARTBEAT": "2s",
    "MQ_CONNECT_TIMEOUT": "4s",
    "MQ_BLOCKED_TIMEOUT": "30s",
    "MQ_CONFIRM_TIMEOUT": "3s",
    "MQ_BACKOFF_MAX": "2s",
    "SHUTDOWN_GRACE": "10s",
    "PRODUCER_SOURCE": "tests.chaos.load:messages",
    "PRODUCER_RATE": "300",
    "CONSUMER_HANDLER": "tests.chaos.load:record",
    "CONSUMER_RETRY_DELAYS": "250ms,500ms",
}


class Pair:
    """All processes that ran in the place of the two, with what they left on record in `folder`."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        settings = {key: value.replace("{folder}", str(folder)) for key, value in settings.items()}
        source = settings.get("PRODUCER_SOURCE", "")
        file = source.removeprefix("lines:") if source.startswith("lines:") else settings.get("CHAOS_INPUT")
        self.lines = Path(file) if file else None  # all that is attempted, at last, by whichever producer
        self.attempts: list[Ledger] = []  # one for each producer
        self.handled, self.tried = Ledger(folder / "handled"), Ledger(folder / "tried")
        self.refused = Ledger(folder / "refused")
        self.producers: list[Process] = []
        self.consumers: list[Process] = []
        self._next: list[Process] = []
        self._env = {
            **SETTINGS,
            **settings,
            "CHAOS_STOP": str(folder / "stop"),
            "CHAOS_HANDLED": str(self.handled.path),
            "CHAOS_TRIED": str(self.tried.path),
            "CHAOS_REFUSED": str(self.refused.path),
        }

    @property
    def producer(self) -> Process:
        """The one that runs."""
        return self.producers[-1]

    @property
    def consumer(self) -> Process:
        """The one that runs."""
        return self.consumers[-1]

    @property
    def processes(self) -> list[Process]:
        """All that ever ran."""
        return self.producers + self.consumers + self._next

    @property
    def next(self) -> Process:
        """The one that handles what the consumer forwards."""
        return self._next[-1]

    def produce(self) -> None:
        """Start a producer, which writes what it attempts into a ledger of its own."""
        run = len(self.attempts) + 1
        path = self.lines or self.folder / f"attempted-{run}"
        self.attempts.append(Ledger(path))
        env = {**self._env, "CHAOS_ATTEMPTED": str(path), "CHAOS_RUN": str(run)}
        self.producers.append(self._started("producer", env))

    def consume(self) -> None:
        """Start a consumer."""
        self.consumers.append(self._started("consumer", self._env))

    def consume_forwarded(self) -> Process:
        """Start a consumer of the queue that `load.forwarding` forwards to."""
        more = {"MQ_CH": f"{self._env['MQ_CH']}.out", "CONSUMER_HANDLER": "tests.chaos.load:record"}
        self._next.append(self._started("consumer", {**self._env, **more}))
        return self.next

    def _started(self, service: str, env: Mapping[str, str]) -> Process:
        """Start it, once more if somebody took its port in the meantime; it listens, or has ended."""
        while True:
            process = Process(service, env, self.folder)
            until(partial(_listens_or_ended, process), f"the {service} listens")
            if process.code() is None or "Address already in use" not in process.stderr.read_text():
                return process

    def end_source(self) -> None:
        """Let the source come to its end."""
        (self.folder / "stop").touch()

    def attempted(self) -> list[str]:
        """The names of all that was attempted, in order."""
        return [name for ledger in self.attempts for name in ledger.read().names]

    def confirmed(self) -> set[str]:
        """The names that producers which ended properly say are confirmed."""
        names: set[str] = set()
        refused = set(self.refused.read().names)
        for producer, ledger in zip(self.producers, self.attempts, strict=True):
            totals = producer.event("stopped")
            if totals:
                tried = ledger.read().names
                # With a checkpoint the last producer's line speaks of its own part, and the earlier ones are done.
                told = len(tried) if self.lines else totals["confirmed"]
                names |= known_confirmed(tried, refused, told, totals["unconfirmed"])
        return names

    def log_lines(self) -> int:
        """How many lines all of them have logged."""
        return sum(process.stderr.read_bytes().count(b"\n") for process in self.processes)

    def connects(self) -> int:
        """How often one of their connections was opened."""
        return sum(line.get("event") == "connected" for process in self.processes for line in process.log())

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Start the consumer again when it ends, or end it when it says that it does not live: as Kubernetes would."""
        end = threading.Event()

        def watch() -> None:
            while not end.wait(0.05):
                if self.consumer.code() is None and not self._hangs():
                    continue
                self.consumer.kill()
                self.consume()

        thread = threading.Thread(target=watch, name="supervisor", daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join(60)

    def _hangs(self) -> bool:
        try:
            return not self.consumer.live()
        except OSError:  # it does not listen yet
            return False

    def close(self) -> None:
        """Leave nothing running."""
        for process in self.processes:
            if process.code() is None:
                process.signal(signal.SIGCONT)
            process.close()


def _listens_or_ended(process: Process) -> bool:
    return process.code() is not None or process.reasons() is not None
