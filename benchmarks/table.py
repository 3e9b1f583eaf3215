"""The tables: every client's medians, growth, and the goals. Markdown that reads well in a terminal."""

from collections.abc import Iterator, Sequence

from benchmarks.client import Client
from benchmarks.goals import FROM, GOALS, Goal
from benchmarks.plan import FLOWS
from benchmarks.runs import Case, Runs, Spread

_COLUMNS = {
    "publish /s": ("publish", "rate"),
    "consume /s": ("consume", "rate"),
    "consume ours' /s": ("consume-same", "rate"),
    "end to end /s": ("end-to-end", "rate"),
    "p50 ms": ("latency", "p50_ms"),
    "p99 ms": ("latency", "p99_ms"),
    "CPU us publish": ("publish", "cpu_us"),
    "CPU us consume": ("consume", "cpu_us"),
    "MiB publish": ("publish", "peak_mib"),
    "MiB consume": ("consume", "peak_mib"),
    "start ms": ("start", "start_ms"),
}


def tables(runs: Runs, clients: Sequence[Client], sizes: Sequence[int]) -> str:
    """All of them, each under its title."""
    parts = [f"{size} bytes: median (lowest-highest run)\n\n{_table(_peers(runs, clients, size))}" for size in sizes]
    parts.append(f"Growing; x is to {FROM:,} messages, or to one consumer\n\n{_table(_series(runs, clients))}")
    parts.append(f"Ratios, run by run: ours divided by the peer's beside it\n\n{_table(_goals(runs))}")
    return "\n\n".join(parts)


def _peers(runs: Runs, clients: Sequence[Client], size: int) -> Iterator[list[str]]:
    columns = {title: key for title, key in _COLUMNS.items() if size == 256 or key[0] in FLOWS}
    yield ["client", *columns]
    for client in clients:
        yield [client.label, *(_spread(runs.spread(*key, client.key, size)) for key in columns.values())]


def _series(runs: Runs, clients: Sequence[Client]) -> Iterator[list[str]]:
    yield ["measure", "client", "messages", "consumers", "a second", "CPU us", "MiB", "time x", "CPU x"]
    for measure in ("series-publish", "series-consume", "series-consumers"):
        for client in clients:
            cases = [case for case in runs.cases(measure) if case.client == client.key]
            base = next((case for case in cases if case.count >= FROM), None)
            for case in cases:
                figures = [_spread(runs.of_case(case, figure)) for figure in ("rate", "cpu_us", "peak_mib")]
                name = [measure.removeprefix("series-"), client.label, f"{case.count:,}", str(case.consumers)]
                yield [*name, *figures, _grown(runs, base, case, "rate"), _grown(runs, case, base, "cpu_us")]


def _grown(runs: Runs, case: Case | None, base: Case | None, figure: str) -> str:
    above, below = (runs.of_case(each, figure) if each else None for each in (case, base))
    return _number(above.middle / below.middle) if above and below else "-"


def _goals(runs: Runs) -> Iterator[list[str]]:
    yield ["", "against", "now", "at least", "goal", ""]
    for goal in GOALS:
        now = runs.against(goal)
        if now is not None:
            yield [
                goal.title,
                goal.peer or "",
                _spread(now),
                *_bounds(goal),
                "met" if goal.met_by(now.middle) else "OPEN",
            ]


def _bounds(goal: Goal) -> list[str]:
    most = "at most " if goal.at_most else ""
    return [f"{most}{goal.bound:g}", f"{goal.aim:g}"]


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    middle, low, high = map(_number, spread)
    return middle if low == high else f"{middle} ({low}-{high})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _table(rows: Iterator[list[str]]) -> str:
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    )
