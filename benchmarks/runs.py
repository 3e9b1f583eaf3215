"""Runs: the samples of all rounds, and what follows from them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, NamedTuple, Self

from benchmarks.goals import FROM, OURS, Goal
from benchmarks.sample import Sample


@dataclass(frozen=True)
class Case:
    """What is measured: one measure of one client; size in bytes."""

    measure: str
    client: str
    size: int = 256
    count: int = 0
    consumers: int = 1

    @property
    def of(self) -> tuple[str, str, int]:
        """What cases of several rounds have in common."""
        return self.measure, self.client, self.size


class Spread(NamedTuple):
    """A median with the lowest and the highest of its runs."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self | None:
        """None of no values."""
        return cls(median(values), min(values), max(values)) if values else None


@dataclass(frozen=True)
class Run:
    """One case in one round."""

    round: int
    case: Case
    sample: Sample


class Runs:
    """All of a benchmark."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._runs = list(runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def add(self, run: Run) -> None:
        """One more."""
        self._runs.append(run)

    def cases(self, measure: str) -> list[Case]:
        """In the order of their first run in the lineup's order."""
        return list(dict.fromkeys(run.case for run in self._runs if run.case.measure == measure))

    def spread(self, measure: str, figure: str, client: str, size: int = 256) -> Spread | None:
        """None when it was not measured."""
        return Spread.of(self._figures(measure, figure, client, size))

    def of_case(self, case: Case, figure: str) -> Spread | None:
        """As `spread`, for exactly this case."""
        return Spread.of([run.sample[figure] for run in self._runs if run.case == case and figure in run.sample])

    def against(self, goal: Goal) -> Spread | None:
        """The goal's figure: ours by the peer's that ran beside it, run by run. None when one was not measured."""
        figures = self._grown if goal.grown else self._figures
        ours = figures(goal.measure, goal.figure, OURS)
        if goal.peer is None:
            return Spread.of(ours)
        theirs = figures(goal.measure, goal.figure, goal.peer)
        if not ours or not theirs:
            return None
        return Spread.of([mine / its for mine, its in zip(ours, theirs, strict=True)])

    def as_json(self) -> list[dict[str, Any]]:
        """One flat object a run."""
        return [{"round": run.round, **asdict(run.case), **run.sample} for run in self._runs]

    def _figures(self, measure: str, figure: str, client: str, size: int = 256) -> list[float]:
        """In the order in which they ran."""
        chosen = (run for run in self._runs if run.case.of == (measure, client, size))
        return [run.sample[figure] for run in chosen if figure in run.sample]

    def _grown(self, measure: str, figure: str, client: str) -> list[float]:
        series: dict[int, list[float]] = {}
        for run in self._runs:
            if run.case.of == (measure, client, 256) and run.case.count >= FROM:
                series.setdefault(run.round, []).append(run.sample[figure])
        return [figures[-1] / figures[0] for figures in series.values() if len(figures) > 1]
