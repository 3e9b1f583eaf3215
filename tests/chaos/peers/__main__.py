"""`python -m tests.chaos.peers`: every fault, injected into every peer; writes docs/loss-table.md, .svg and .json."""

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from pika.exceptions import AMQPError

from benchmarks.environment import ROOT, UnpreparedError
from local import Failure
from tests.chaos.cluster import Cluster
from tests.chaos.peers import environment, results
from tests.chaos.peers.broker import version
from tests.chaos.peers.contestant import RATE
from tests.chaos.peers.document import document
from tests.chaos.peers.faults import FAULTS, Fault
from tests.chaos.peers.lineup import ENTRIES, PEERS, Entry
from tests.chaos.peers.picture import picture
from tests.chaos.peers.trial import LIMIT, Row, put_to_test
from tests.chaos.progress import Progress
from tests.chaos.rabbit import BROKERS, Rabbit

Tell = Callable[[str], None]
OUT = ROOT / "docs" / "loss-table.json"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.peers", description=__doc__)
    parser.add_argument("--only", metavar="ROW,...", help="peers (pika) or rows (pika-first); default: all")
    parser.add_argument("--faults", metavar="FAULT,...", help="default: all")
    parser.add_argument("--runs", type=int, default=3, help="of each cell (default %(default)s)")
    parser.add_argument("--side-by-side", type=int, default=1, metavar="N", help="rows that share a broker and a fault")
    parser.add_argument(
        "--limit", type=float, default=LIMIT, metavar="SECONDS", help="in which messages must flow again"
    )
    parser.add_argument("--rate", type=float, default=RATE, help="messages a second, at most (default %(default)s)")
    parser.add_argument("--fresh", action="store_true", help="forget the rows of earlier commands")
    parser.add_argument("--list", action="store_true", help="print rows and faults and end")
    parser.add_argument("--draw", action="store_true", help="write the documents from the rows there are, run nothing")
    parser.add_argument("--out", type=Path, default=OUT, metavar="JSON", help="beside it .md and .svg (default: docs/)")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="for logs and ledgers (default: a new one)")
    return parser.parse_args()


def _chosen(wanted: str | None, known: dict[str, Sequence[str]]) -> set[str]:
    """`known` says for each word what it stands for; raises UnpreparedError."""
    words = wanted.split(",") if wanted else list(known)
    if unknown := set(words) - known.keys():
        raise UnpreparedError(f"{', '.join(sorted(unknown))} is none of {', '.join(known)}")
    return {key for word in words for key in known[word]}


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}"


def _trials(
    entries: Sequence[Entry], faults: Sequence[Fault], asked: argparse.Namespace, folder: Path, tell: Tell
) -> Iterator[Row]:
    python = environment.python()
    versions = environment.versions(python, [peer.package for peer in PEERS])
    print(", ".join(f"{name} {version}" for name, version in versions.items()), flush=True)
    groups = [entries[start : start + asked.side_by_side] for start in range(0, len(entries), asked.side_by_side)]
    total, done = asked.runs * len(groups) * len(faults), 0
    for kind in (False, True):
        chosen = [fault for fault in faults if fault.cluster == kind]
        for run in range(1, asked.runs + 1) if chosen else ():
            with ExitStack() as stack:
                broker: Rabbit | Cluster | None = None
                for fault in chosen:
                    for group in groups:
                        done += 1
                        what = f"{done}/{total} {fault.key}: {', '.join(entry.key for entry in group)}"
                        if broker is None or kind:  # a cluster that lost a node has other leaders than before
                            tell(f"{what}: starts a broker")
                            broker = stack.enter_context(Cluster() if kind else BROKERS["container"]())
                            versions["broker"] = version(broker)
                        yield from put_to_test(
                            group,
                            fault,
                            broker,
                            folder / f"{done:03}-{fault.key}",
                            python,
                            run=run,
                            versions=versions,
                            limit=asked.limit,
                            rate=asked.rate,
                            tell=lambda text, what=what: tell(f"{what} {text}"),  # type: ignore[misc]
                        )


def _line(row: Row) -> str:
    person = "NO FLOW" if row.stuck else f"{row.held} HELD" if row.held else ""
    return (
        f"{row.fault:<18}{row.entry:<22}sent {row.sent:>5}  lost {row.lost:>4}  twice {row.duplicated:>4}  "
        f"unclear {row.unclear:>3}  kept {row.kept:>4}  recovery {row.recovery:>5.1f} s  {person}"
    )


def main() -> int:
    """0: the table is written; 1: something of the harness's own failed; 2: something is missing; 130: interrupted."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the broker is removed, too
    if asked.list:
        print("\n".join([*(entry.key for entry in ENTRIES), "", *(f"{each.key}: {each.title}" for each in FAULTS)]))
        return 0
    rows = [] if asked.fresh else results.read(asked.out)
    folder = asked.logs or Path(tempfile.mkdtemp(prefix="chaos-peers-"))
    began, code, new = time.monotonic(), 0, 0
    try:
        known = {entry.key: [entry.key] for entry in ENTRIES}
        known |= {peer.name.lower(): [e.key for e in ENTRIES if e.peer is peer] for peer in PEERS}
        keys = _chosen(asked.only, known)
        wanted = _chosen(asked.faults, {fault.key: [fault.key] for fault in FAULTS})
        entries = [entry for entry in ENTRIES if entry.key in keys]
        faults = [] if asked.draw else [fault for fault in FAULTS if fault.key in wanted]
        with Progress() as progress:
            for row in _trials(entries, faults, asked, folder, progress.tell) if faults else ():
                progress.print(_line(row))
                rows, new = results.merge(rows, [row]), new + 1
                results.write(asked.out, rows)
    except UnpreparedError as error:
        print(error, file=sys.stderr)
        return 2
    except (Failure, AssertionError, AMQPError) as failure:
        print(repr(failure), file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("interrupted; the rows so far are kept", file=sys.stderr)
        code = 130
    asked.out.with_suffix(".md").write_text(document(rows, _machine()))
    asked.out.with_suffix(".svg").write_text(picture(results.cells(rows)))
    print(f"{new} rows in {(time.monotonic() - began) / 60:.0f} min, in {asked.out.with_suffix('.md')}; logs: {folder}")
    return code


if __name__ == "__main__":
    sys.exit(main())
