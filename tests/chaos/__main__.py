"""`python -m tests.chaos`: every fault in turn, a table of what became of the messages, and a random mix."""

import argparse
import random
import signal
import sys
import tempfile
from pathlib import Path

from common.settings.types import parse_duration
from local import Failure
from tests.chaos import table
from tests.chaos.faults import promises
from tests.chaos.progress import Progress
from tests.chaos.rabbit import BROKERS
from tests.chaos.run import run
from tests.chaos.trial import Row
from tests.processes import WIRES


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="only promises whose name holds one of these")
    parser.add_argument("--short", action="store_true", help="the few that `make test` runs, and no mix")
    parser.add_argument("--list", action="store_true", help="print the promises and end")
    parser.add_argument("--broker", choices=BROKERS, default="container", help="RabbitMQ 4.3, or this machine's own")
    parser.add_argument("--wire", choices=WIRES, default="direct", help="MQ_WIRE of both services")
    parser.add_argument("--mix", type=parse_duration, metavar="10m", help="how long the mix lasts, 0s: none")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of the mix, to have it again")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="for logs and records (default: a new one)")
    return parser.parse_args()


def main() -> int:
    """0: every promise held; 1: one did not, or something is missing here."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the broker is removed, too
    chosen = [
        each
        for each in promises(short=asked.short)
        if not asked.words or any(word in each.name for word in asked.words)
    ]
    if asked.list:
        print("\n".join(each.name for each in chosen))
        return 0
    mix = asked.mix if asked.mix is not None else (0.0 if asked.short or asked.words else 600.0)
    folder = asked.logs or Path(tempfile.mkdtemp(prefix="chaos-"))
    rows: list[Row] = []
    print(table.head(asked.wire), flush=True)
    try:
        with Progress() as progress:
            for row in run(
                chosen,
                folder,
                asked.broker,
                wire=asked.wire,
                short=asked.short,
                mix_seconds=mix,
                seed=asked.seed,
                tell=progress.tell,
            ):
                progress.print(table.line(row))
                rows.append(row)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the table so far is above", file=sys.stderr)
        return 130
    print(table.closing(rows))
    print(f"logs and records: {folder}")
    return int(any(row.complaints for row in rows))


if __name__ == "__main__":
    sys.exit(main())
