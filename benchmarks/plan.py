"""Plan: which cases a benchmark runs, interleaved."""

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.child import MeasureError
from benchmarks.client import Client
from benchmarks.goals import CEILING, OURS
from benchmarks.runs import Case, Run, Runs
from benchmarks.sample import Sample

FLOWS = ("publish", "consume", "end-to-end")
CONSUMERS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Plan:
    """How much is run: `volume` in seconds of each client's usual rate, `largest` ends the series of growing counts."""

    rounds: int = 3
    volume: float = 3.0  # in one second, how a client begins would count too much
    largest: int = 100_000
    sizes: tuple[int, ...] = (256, 4096)
    latency_seconds: float = 5.0
    latency_turns: int = 3
    """A p99 is that of the machine's pauses, which come and go: many short runs side by side meet the same ones."""
    thorough: bool = False
    """Whether every round has the larger sizes, and not the first alone."""

    def round(self, number: int, clients: Sequence[Client]) -> Iterator[Case]:
        """Round `number`, from 1."""
        yield from self.cases(clients, self.sizes if self.thorough or number == 1 else self.sizes[:1])
        if _with_ours(clients):
            yield from self.series([client.key for client in clients if client.key in (CEILING, OURS)])

    def cases(self, clients: Sequence[Client], sizes: Sequence[int]) -> Iterator[Case]:
        """Measure by measure, the clients of each beside one another in an order of chance."""
        for size in sizes:
            for measure in FLOWS:
                yield from (self._flow(measure, client, size) for client in _shuffled(clients))
        if _with_ours(clients):  # all read the same messages, those of ours
            readers = [client for client in clients if client.key == OURS or not client.own_messages]
            yield from (self._flow("consume-same", client, 256) for client in _shuffled(readers))
        for measure in (*["latency"] * self.latency_turns, "start"):
            yield from (Case(measure, client.key) for client in _shuffled(clients))

    def series(self, keys: Sequence[str]) -> Iterator[Case]:
        """From 10^3 messages up, and from one consumer up; the ceiling shows what the machine itself does."""
        counts = [10**power for power in range(3, 7) if 10**power <= self.largest]
        for measure in ("publish", "consume"):
            yield from (Case(f"series-{measure}", key, 256, count) for count in counts for key in keys)
        yield from (Case("series-consumers", key, 256, counts[-1], number) for number in CONSUMERS for key in keys)

    def run(self, bench: Bench, clients: Sequence[Client]) -> Runs:
        """All rounds. A case that fails is measured once more; then its MeasureError is raised."""
        runs, named = Runs(), {client.key: client for client in clients}
        for number in range(1, self.rounds + 1):
            cases = list(self.round(number, clients))
            for done, case in enumerate(cases, 1):
                _show(f"round {number} of {self.rounds}, {done} of {len(cases)}: {case.measure}, {case.client}")
                runs.add(Run(number, case, self._twice(bench, named, case)))
        _show("")
        return runs

    def _flow(self, measure: str, client: Client, size: int) -> Case:
        full = client.consumes if measure.startswith("consume") else client.publishes
        shrunk = full * self.volume / (1 if size <= 256 else 2)
        return Case(measure, client.key, size, max(100, round(shrunk)))

    def _one(self, bench: Bench, named: Mapping[str, Client], case: Case) -> Sample:
        client = named[case.client]
        match case.measure:
            case "publish" | "series-publish":
                return bench.publish(client, case.count, case.size)
            case "consume" | "series-consume" | "series-consumers":
                return bench.consume(client, case.count, case.size, case.consumers)
            case "consume-same":
                return bench.consume(client, case.count, case.size, case.consumers, named[OURS])
            case "end-to-end":
                return bench.end_to_end(client, case.count, case.size)
            case "latency":
                return bench.latency(client, self.latency_seconds)
            case _:
                return bench.start(client)

    def _twice(self, bench: Bench, named: Mapping[str, Client], case: Case) -> Sample:
        try:
            return self._one(bench, named, case)
        except MeasureError as error:
            print(f"\nonce more after: {error}", file=sys.stderr)
            return self._one(bench, named, case)


def _with_ours(clients: Sequence[Client]) -> bool:
    return any(client.key == OURS for client in clients)


def _shuffled(clients: Sequence[Client]) -> list[Client]:
    return random.sample(clients, len(clients))


def _show(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)
