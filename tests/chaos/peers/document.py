"""docs/loss-table.md, from the rows and the lineup. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from tests.chaos.peers import contestant
from tests.chaos.peers.broker import HEARTBEAT
from tests.chaos.peers.faults import FAULTS
from tests.chaos.peers.lineup import ENTRIES, PEERS, Entry
from tests.chaos.peers.results import Cell, cells
from tests.chaos.peers.trial import Row

PAGES = "../tests/chaos/peers/adapters"


def document(rows: Sequence[Row], machine: str) -> str:
    """The whole file; `machine` is said as it is."""
    return "\n".join(_lines(rows, machine)) + "\n"


def _lines(rows: Sequence[Row], machine: str) -> Iterator[str]:
    found = cells(rows)
    yield from _head(rows, machine)
    yield from _overview(found)
    for fault in FAULTS:
        yield from _fault(fault.key, fault.title, found)
    yield from _peers()
    yield from _missing(found)


def _head(rows: Sequence[Row], machine: str) -> Iterator[str]:
    dates = sorted({row.date for row in rows})
    counts = sorted({len(cell.rows) for cell in cells(rows).values()})
    beside, loads, limits = {row.beside for row in rows}, [row.load for row in rows], {row.limit for row in rows}
    yield "# The field's loss table"
    yield ""
    yield "<!-- Written by `make chaos-peers` from loss-table.json: change the command, not this file. -->"
    yield ""
    yield "![What became of messages that a publisher believed sent](loss-table.svg)"
    yield ""
    yield "The same faults, injected into this pair and into what people use with RabbitMQ from Python. Each peer runs"
    yield "as its documentation's first page has it, and hardened as its documentation allows. Run it yourself:"
    yield ""
    yield "```console"
    yield "$ make chaos-peers"
    yield "$ make chaos-peers ARGS='--only ours,aio-pika --faults kill-broker --runs 1'"
    yield "```"
    yield ""
    if not rows:
        yield "Nothing was run yet."
        return
    yield f"- **When**: {_range(dates)}. **Broker**: {', '.join(sorted({row.broker for row in rows}))}, in a container."
    yield f"- **Machine**: {machine}; load average before the runs {min(loads):g} to {max(loads):g}."
    yield f"- **Versions**: {', '.join(_versions(rows))}."
    yield (
        f"- **Runs** of each cell: {_range(counts)}; {_range(sorted(beside))} row(s) at the same time on one broker, "
        "under the same fault at the same moment, which ends for all when it ends for the slowest. With more runs than "
        "one a figure is the worst, and the median follows in brackets."
    )
    yield (
        f"- **Load**: {_range(sorted({row.rate for row in rows}))} messages a second at most, one publish at a time, "
        f"{contestant.WORK * 1000:g} ms of handling. The broker proposes a heartbeat of {HEARTBEAT} s."
    )
    yield (
        "- A program that ends is started again after a second. A publish that raised or was cut off is *unclear* and "
        "not lost; a hardened form publishes it again."
    )
    yield ""
    yield "*Lost*: the publisher believed it sent, and it is neither handled nor in any queue. *Duplicates*: handled"
    yield "more than once. *Unclear*: not believed sent, and nowhere; the caller got an error, or died. *Kept*: in a"
    yield "queue at the end, of dead letters or for a later try. *Person*: nothing published after the fault was"
    yield f"handled within {_range(sorted(limits))} s (*no flow*), or messages were handled by nobody until the"
    yield "consumer was stopped (*held*). *Recovery*: seconds from the end of the fault until a message published"
    yield "afterwards was handled."
    yield ""


def _overview(found: Mapping[tuple[str, str], Cell]) -> Iterator[str]:
    yield "## Lost, at a glance"
    yield ""
    yield "| | faults run | lost in | messages lost | needed a person in | duplicates | slowest recovery, s |"
    yield "|---|---|---|---|---|---|---|"
    for entry in ENTRIES:
        mine = [found[entry.key, fault.key] for fault in FAULTS if (entry.key, fault.key) in found]
        if not mine:
            yield f"| {_bold(entry)} | not run | | | | | |"
            continue
        all_rows = [row for cell in mine for row in cell.rows]
        lost, person = sum(bool(cell.lost) for cell in mine), sum(cell.stuck for cell in mine)
        flowing = [row.recovery for row in all_rows if not row.stuck]
        messages, twice = sum(cell.lost for cell in mine), sum(max(row.duplicated for row in c.rows) for c in mine)
        run, slowest = f"{len(mine)} of {len(FAULTS)}", max(flowing, default=0)
        yield f"| {_bold(entry)} | {run} | {lost} | {messages:,} | {person} | {twice:,} | {slowest:g} |"
    yield ""


def _fault(key: str, title: str, found: Mapping[tuple[str, str], Cell]) -> Iterator[str]:
    yield f"## {title[0].upper()}{title[1:]}"
    yield ""
    mine = [(entry, found[entry.key, key]) for entry in ENTRIES if (entry.key, key) in found]
    if not mine:
        yield "Not run."
        yield ""
        return
    yield "| | believed sent | **lost** | duplicates | unclear | kept | person | recovery, s | rows at once |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for entry, cell in mine:
        recovery = cell.figure("recovery")
        if any(row.stuck for row in cell.rows):
            recovery = f"over {cell.rows[0].limit:g}"
        figures = (cell.figure(name) for name in ("duplicated", "unclear", "kept"))
        yield (
            f"| {_bold(entry)} | {cell.figure('sent')} | **{cell.figure('lost')}** | {' | '.join(figures)} "
            f"| {cell.stuck_text()} | {recovery} | {_range(sorted({row.beside for row in cell.rows}))} |"
        )
    yield ""


def _peers() -> Iterator[str]:
    yield "## What to know about each"
    yield ""
    yield "A loss that a peer's documents announce is no defect of it. Each peer is better than this pair at something"
    yield "([comparison](comparison.md)):"
    yield ""
    yield "| | better at | what its documents say of messages | set up in |"
    yield "|---|---|---|---|"
    for peer in PEERS:
        file = peer.module.rpartition(".")[2] + ".py"
        yield f"| {peer.name} | {peer.better_at} | {peer.promise} | [{file}]({PAGES}/{file}) |"
    yield ""
    yield "This pair's own program posts to the producer's HTTP source and believes a message sent at 202, with all"
    yield f"defaults ([ours.py]({PAGES}/ours.py))."
    yield ""


def _missing(found: Mapping[tuple[str, str], Cell]) -> Iterator[str]:
    yield "## Not run"
    yield ""
    gaps = {
        entry.label: [fault.key for fault in FAULTS if (entry.key, fault.key) not in found]
        for entry in ENTRIES
        if any((entry.key, fault.key) not in found for fault in FAULTS)
    }
    if not gaps:
        yield "Every cell was run."
    for label, faults in gaps.items():
        yield f"- {label}: {'everything' if len(faults) == len(FAULTS) else ', '.join(faults)}"


def _versions(rows: Sequence[Row]) -> list[str]:
    names = {entry.key: entry.peer.package for entry in ENTRIES}
    return sorted({f"{names[row.entry]} {row.version}" for row in rows if row.version})


def _range(values: Sequence[object]) -> str:
    texts = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    return texts[0] if len(texts) == 1 else f"{texts[0]} to {texts[-1]}"


def _bold(entry: Entry) -> str:
    return f"**{entry.label}**" if entry.form == "ours" else entry.label
