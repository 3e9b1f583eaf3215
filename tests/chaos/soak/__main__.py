"""`python -m tests.chaos.soak`: an hour of lost connections, after which both services must be as small as before."""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from local import Failure
from tests.chaos.progress import Progress
from tests.chaos.rabbit import BROKERS
from tests.chaos.soak.document import document, picture
from tests.chaos.soak.figures import flat
from tests.chaos.soak.soak import soak
from tests.processes import ROOT, WIRES


def main() -> int:
    """0: nothing grew and nothing was lost; 1: something did, or something is missing here."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0, metavar="1", help="how long")
    parser.add_argument("--broker", choices=BROKERS, default="container", help="RabbitMQ 4.3, or this machine's own")
    parser.add_argument("--wire", choices=WIRES, default="direct", help="MQ_WIRE of both services")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", metavar="FOLDER", help="for soak.md and soak.svg")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the broker is removed, too
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        with Progress() as progress, BROKERS[asked.broker]() as rabbit:
            done = soak(rabbit, folder, asked.hours * 3600, wire=asked.wire, tell=progress.tell)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    complaints = [*done.complaints, *flat(done)]
    page = document(done, complaints)
    (asked.out / "soak.md").write_text(page)
    (asked.out / "soak.svg").write_text(picture(done))
    print(page)
    print(f"logs and records: {folder}")
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
