"""`python -m benchmarks`: measures, prints the tables, writes JSON and the chart."""

import argparse
import json
import platform
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.broker import Broker, container
from benchmarks.chart import chart
from benchmarks.child import MeasureError
from benchmarks.client import Client
from benchmarks.environment import UnpreparedError
from benchmarks.goals import CEILING
from benchmarks.lineup import lineup
from benchmarks.plan import Plan
from benchmarks.runs import Runs
from benchmarks.table import tables
from common.settings.broker_url import parse_urls

SHORT = Plan(rounds=1, volume=0.02, largest=1_000, sizes=(256,), latency_seconds=0.5, latency_turns=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """0: measured; 1: a measured program failed; 2: something it needs is missing; 130: interrupted."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the broker is removed, too
    plan = SHORT if options.short else Plan(options.rounds, options.volume, options.largest, thorough=options.thorough)
    try:
        every = lineup()
        clients = _chosen(every, options.only)
        with Broker(options.url) if options.url else container() as broker:
            runs = plan.run(Bench(broker, next(each for each in every if each.key == CEILING)), clients)
            about = _about(broker)
    except UnpreparedError as error:
        print(error, file=sys.stderr)
        return 2
    except MeasureError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: nothing is written", file=sys.stderr)
        return 130
    print(tables(runs, clients, plan.sizes))
    _write(options, runs, clients, about)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a minute, to see that it works; its figures say nothing")
    parser.add_argument("--rounds", type=int, default=3, help="how often all is measured (default %(default)s)")
    parser.add_argument(
        "--volume", type=float, default=3.0, help="seconds that a run takes, about (default %(default)s)"
    )
    parser.add_argument("--thorough", action="store_true", help="4 KiB in every round")
    parser.add_argument(
        "--largest", type=int, default=100_000, help="the most messages of the growing series (to 10^6)"
    )
    parser.add_argument("--only", metavar="CLIENT,...", help="these clients")
    parser.add_argument(
        "--url", type=_url, help="a broker that is there (AMQP URL), instead of a container; figures scatter more"
    )
    parser.add_argument("--out", type=Path, metavar="JSON", help="write every run there")
    parser.add_argument("--chart", type=Path, metavar="SVG", help="draw the chart there")
    return parser


def _url(text: str) -> str:
    try:
        if len(parse_urls(text)) > 1:
            raise ValueError("one broker, not a list")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _chosen(clients: list[Client], only: str | None) -> list[Client]:
    wanted = only.split(",") if only else [client.key for client in clients]
    known = {client.key for client in clients}
    if not known.issuperset(wanted):
        raise UnpreparedError(f"--only knows {', '.join(client.key for client in clients)}")
    return [client for client in clients if client.key in wanted]


def _about(broker: Broker) -> dict[str, Any]:
    return {"python": platform.python_version(), "broker": broker.version, "machine": platform.machine()}


def _write(options: argparse.Namespace, runs: Runs, clients: Sequence[Client], about: dict[str, Any]) -> None:
    if options.out:
        options.out.write_text(json.dumps({"about": about, "runs": runs.as_json()}, indent=1) + "\n")
    if options.chart:
        options.chart.write_text(chart(runs, clients))


if __name__ == "__main__":
    sys.exit(main())
