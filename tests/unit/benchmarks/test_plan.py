"""What a benchmark runs."""

from dataclasses import replace

import pytest

from benchmarks.child import MeasureError
from benchmarks.client import Client
from benchmarks.plan import Plan
from benchmarks.sample import Sample

CLIENTS = [Client("ours", "", (), 1000, 2000), Client("kombu", "", (), 300, 400)]
SMALL = Plan(rounds=2, volume=0.5, largest=10_000, sizes=(256, 4096), thorough=True, latency_turns=1)


class FakeBench:
    """Fails each case `failures` times."""

    def __init__(self, failures: int = 0) -> None:
        self.asked: list[tuple[object, ...]] = []
        self._failures = failures

    def __getattr__(self, measure: str):  # type: ignore[no-untyped-def]
        def run(client: Client, *numbers: float) -> Sample:
            self.asked.append((measure, client.key, *numbers))
            if self._failures:
                self._failures -= 1
                raise MeasureError("lost count")
            return {"rate": 1.0}

        return run


def test_the_clients_of_a_measure_run_side_by_side() -> None:
    keys = [(case.measure, case.size) for case in SMALL.cases(CLIENTS, SMALL.sizes)]
    assert keys[::2] == keys[1::2] == list(dict.fromkeys(keys))


def test_latency_takes_turns() -> None:
    """Each client once before any has its second."""
    keys = [case.client for case in Plan(latency_turns=3).cases(CLIENTS, [256]) if case.measure == "latency"]
    assert [set(keys[at : at + 2]) for at in (0, 2, 4)] == [{"ours", "kombu"}] * 3


def test_volume_and_size_scale_the_messages() -> None:
    counts = {(case.measure, case.client, case.size): case.count for case in SMALL.cases(CLIENTS, SMALL.sizes)}
    assert counts["publish", "ours", 256] == 500
    assert counts["consume", "ours", 256] == 1000
    assert counts["consume", "ours", 4096] == 500
    assert counts["publish", "kombu", 4096] == 100


def test_all_read_the_messages_of_ours_that_can() -> None:
    dramatiq = Client("dramatiq", "", (), 300, 400, own_messages=True)
    cases = list(SMALL.cases([*CLIENTS, dramatiq], SMALL.sizes))
    assert {case.client for case in cases if case.measure == "consume-same"} == {"ours", "kombu"}
    assert not any(case.measure == "consume-same" for case in SMALL.cases(CLIENTS[1:], SMALL.sizes))


def test_ours_and_the_ceiling_grow_in_messages_and_consumers() -> None:
    """Side by side: what the machine does to both is not ours."""
    ceiling = Client("rabbitmq-c", "", (), 4000, 8000)
    cases = [case for case in SMALL.round(1, [*CLIENTS, ceiling]) if case.measure.startswith("series")]
    assert {case.client for case in cases[::2]} == {"ours"}
    assert [replace(case, client="ours") for case in cases[1::2]] == cases[::2]
    series = [(case.measure, case.count, case.consumers) for case in cases[::2]]
    assert ("series-publish", 1000, 1) in series
    assert ("series-consume", 10_000, 1) in series
    assert series[-1] == ("series-consumers", 10_000, 8)


def test_every_round_runs_every_case() -> None:
    bench = FakeBench()
    runs = SMALL.run(bench, CLIENTS)  # type: ignore[arg-type]
    assert [run.round for run in runs] == [1] * 26 + [2] * 26
    assert ("consume", "ours", 10_000, 256, 8) in bench.asked
    assert ("consume", "kombu", 200, 256, 1, CLIENTS[0]) in bench.asked
    assert {asked[0] for asked in bench.asked} == {"publish", "consume", "end_to_end", "latency", "start"}


def test_later_rounds_have_the_small_size_alone() -> None:
    """The growing series, too: of one run nobody knows what was chance."""
    plan = Plan()
    series = [[case for case in plan.round(number, CLIENTS) if case.measure.startswith("series")] for number in (1, 2)]
    assert {case.size for case in plan.round(1, CLIENTS)} == {256, 4096}
    assert {case.size for case in plan.round(2, CLIENTS)} == {256}
    assert series[0] == series[1] != []
    assert not any(case.measure.startswith("series") for case in plan.round(1, CLIENTS[1:]))


def test_a_case_that_fails_once_is_measured_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(list(SMALL.run(FakeBench(failures=1), CLIENTS))) == 52  # type: ignore[arg-type]
    assert "lost count" in capsys.readouterr().err


def test_a_case_that_fails_twice_ends_it() -> None:
    with pytest.raises(MeasureError, match="lost count"):
        SMALL.run(FakeBench(failures=2), CLIENTS)  # type: ignore[arg-type]
