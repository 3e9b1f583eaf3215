"""Promises put to the test one after the other, on brokers that live as long as they are needed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.cluster import Cluster
from tests.chaos.mix import mix
from tests.chaos.promise import Promise
from tests.chaos.rabbit import BROKERS
from tests.chaos.trial import Row, put_to_test

Tell = Callable[[str], None]


def run(
    promises: list[Promise],
    folder: Path,
    kind: str,
    *,
    wire: str,
    short: bool,
    mix_seconds: float,
    seed: int,
    tell: Tell,
) -> Iterator[Row]:
    """A row for each promise, then one for the mix, with this MQ_WIRE; `tell` hears what is under way."""
    single = [each for each in promises if each.broker in {"any", kind}]
    clustered = [each for each in promises if each.broker == "cluster" and kind == "container"]
    total = len(single) + len(clustered) + bool(mix_seconds)
    numbers = iter(range(1, total + 1))

    def here(name: str) -> Path:
        number = next(numbers)
        tell(f"{number}/{total} {name}")
        path = folder / f"{number:02}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    with ExitStack() as stack:
        if single or mix_seconds:
            tell("starting a broker")
            rabbit = stack.enter_context(BROKERS[kind]())
        for each in single:
            yield put_to_test(each, rabbit, here(each.name), short=short, wire=wire)
        if mix_seconds:
            yield mix(rabbit, here("mix"), mix_seconds, seed, tell, wire=wire)
    if clustered:
        tell("starting a cluster")
        with Cluster() as cluster:
            for each in clustered:
                yield put_to_test(each, cluster, here(each.name), short=short, wire=wire)
