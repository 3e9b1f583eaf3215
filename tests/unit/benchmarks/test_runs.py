"""What follows from the samples."""

import re
from xml.etree import ElementTree as ET

from benchmarks.chart import chart
from benchmarks.client import Client
from benchmarks.goals import Goal
from benchmarks.runs import Case, Run, Runs, Spread
from benchmarks.table import tables

CLIENTS = [Client("rabbitmq-c", "the <ceiling>", (), 1, 1), Client("ours", "this project", (), 1, 1)]
RATES = {"rabbitmq-c": (40_000.0, 20_000.0, 50_000.0), "ours": (30_000.0, 20_000.0, 20_000.0)}


def runs() -> Runs:
    return Runs(
        Run(number, Case(measure, key, 256, 100), {"rate": rate, "peak_mib": 30.0, "cpu_us": 12.5})
        for measure in ("publish", "consume", "end-to-end", "series-publish")
        for key, rates in RATES.items()
        for number, rate in enumerate(rates, 1)
    )


def slow() -> Runs:
    return Runs(Run(1, Case("publish", key), {"rate": rate}) for key, rate in (("ours", 1.0), ("rabbitmq-c", 2.0)))


def test_the_median_comes_with_its_spread() -> None:
    assert runs().spread("publish", "rate", "ours") == Spread(20_000, 20_000, 30_000)
    assert runs().spread("publish", "rate", "kombu") is None
    assert runs().spread("latency", "p99_ms", "ours") is None


def test_ratios_are_taken_run_by_run() -> None:
    goal = Goal("publish", "publish", "rate", "rabbitmq-c", 0.7, 0.9)
    assert runs().against(goal) == Spread(0.75, 0.4, 1.0)


def test_each_of_a_rounds_runs_counts() -> None:
    """Against the one that ran beside it, in whichever order."""
    p99 = (("ours", 1.0), ("rabbitmq-c", 2.0), ("rabbitmq-c", 8.0), ("ours", 6.0), ("ours", 9.0), ("rabbitmq-c", 9.0))
    found = Runs(Run(1, Case("latency", key), {"p99_ms": each}) for key, each in p99)
    assert found.against(Goal("p99", "latency", "p99_ms", "rabbitmq-c", 1.2, 1, at_most=True)) == Spread(0.75, 0.5, 1.0)
    assert found.spread("latency", "p99_ms", "ours") == Spread(6, 1, 9)


def test_a_goal_without_a_peer_is_our_own_figure() -> None:
    goal = Goal("memory", "publish", "peak_mib", None, 50, 40, at_most=True)
    found = runs().against(goal)
    assert found == Spread(30, 30, 30)
    assert goal.met_by(found.middle)
    assert not goal.met_by(51)


def test_growth_is_held_against_the_machines() -> None:
    """Round by round, from 10,000 messages on; a series of one case has not grown."""
    goal = Goal("growth", "series-publish", "cpu_us", "rabbitmq-c", 1.1, 1, at_most=True, grown=True)
    cpu = {"ours": ((99, 10, 15), (99, 10, 15)), "rabbitmq-c": ((99, 2, 3), (99, 2, 2))}
    grown = [
        Run(number, Case("series-publish", key, 256, count), {"cpu_us": figure})
        for key, rounds in cpu.items()
        for number, figures in enumerate(rounds, 1)
        for count, figure in zip((1_000, 10_000, 100_000), figures, strict=True)
    ]
    assert Runs(grown).against(goal) == Spread(1.25, 1.0, 1.5)
    assert Runs(run for run in grown if run.case.count < 100_000).against(goal) is None


def test_the_tables_say_what_is_met_and_what_is_open() -> None:
    text = tables(runs(), CLIENTS, [256])
    publish = next(line for line in text.splitlines() if line.startswith("| publish") and "rabbitmq-c" in line)
    flow = next(line for line in text.splitlines() if line.startswith("| end to end") and "rabbitmq-c" in line)
    assert "0.75 (0.40-1.00)" in publish
    assert publish.endswith("met |")
    assert "OPEN" not in flow
    assert "OPEN" in tables(slow(), CLIENTS, [256])
    assert len({len(line) for line in text.split("\n\n")[1].splitlines()}) == 1


def test_the_same_messages_are_a_column_of_the_small_size() -> None:
    """No larger one is measured with them."""
    same = Runs(Run(1, Case("consume-same", key), {"rate": rates[0]}) for key, rates in RATES.items())
    small, large, *_ = tables(same, CLIENTS, [256, 4096]).split("bytes: ")[1:]
    column = small.split("| client")[1].split(" | ").index("consume ours' /s")
    ours = next(line for line in small.splitlines() if "this project" in line)
    assert ours.split("|")[column + 1].strip() == "30,000"
    assert "consume ours'" not in large


def test_growth_is_what_a_message_costs_to_the_first() -> None:
    """In time and in CPU; the first is 10,000 messages, fewer are before it, and each client has its own."""
    sizes = ((1_000, 1, 5_000.0, 20.0), (10_000, 1, 20_000.0, 10.0), (100_000, 8, 10_000.0, 11.0))
    grown = Runs(
        Run(1, Case("series-publish", key, 256, count, consumers), {"rate": rate * faster, "cpu_us": cpu})
        for count, consumers, rate, cpu in sizes
        for key, faster in (("ours", 1), ("rabbitmq-c", 4))
    )
    rows = [
        re.split(r" *\| *", line) for line in tables(grown, CLIENTS, [256]).splitlines() if line.startswith("| publish")
    ]
    growth = [("4.00", "2.00"), ("1.00", "1.00"), ("2.00", "1.10")]
    assert [(label, time, cpu) for _, _, label, *_, time, cpu, _ in rows] == [
        (client.label, *each) for client in CLIENTS for each in growth
    ]


def test_the_json_holds_every_run() -> None:
    rows = runs().as_json()
    assert len(rows) == 24
    assert rows[0] == {
        "round": 1,
        "measure": "publish",
        "client": "rabbitmq-c",
        "size": 256,
        "count": 100,
        "consumers": 1,
        "rate": 40_000.0,
        "peak_mib": 30.0,
        "cpu_us": 12.5,
    }


def test_the_chart_is_svg_with_a_bar_for_each_client_and_measure() -> None:
    root = ET.fromstring(chart(runs(), CLIENTS))
    svg = "{http://www.w3.org/2000/svg}"
    bars = [float(bar.attrib["width"]) for bar in root.iter(f"{svg}rect")]
    assert bars == [170.0, 85.0] * 3
    assert {text.text for text in root.iter(f"{svg}text")} >= {"the <ceiling>", "this project", "40,000", "20,000"}
