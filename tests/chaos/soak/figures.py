"""What a soak measured, and whether it is flat. Pure."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

MOST_GROWTH = 2.0  # MiB of a service, from the first figures that count to the last ones
WARM = 1 / 12  # of the whole time, in which caches fill: five minutes of an hour
WINDOW = 1 / 12  # of the whole time, whose median is a figure


class Sample(NamedTuple):
    """One look at a service."""

    at: float  # seconds since messages flow
    memory: float  # MiB, resident
    descriptors: int
    threads: int


class Soak(NamedTuple):
    """All looks at the producer and the consumer that lived through it, and what became of the messages."""

    seconds: float
    services: dict[str, list[Sample]]  # by name
    pauses: list[tuple[float, float]]  # until when, and the longest time without a handled message before
    resets: int  # connections
    restarts: int  # of the producer and consumer beside the two
    messages: int
    duplicated: int
    complaints: Sequence[str]


def flat(soak: Soak) -> list[str]:
    """What grew, in words; none of it should."""
    found = []
    for name, samples in soak.services.items():
        growth = _grown(soak, samples, lambda each: each.memory)
        if growth >= MOST_GROWTH:
            found.append(f"the {name} grew by {growth:.1f} MiB")
        for what, of in (("descriptors", _descriptors), ("threads", _threads)):
            more = _grown(soak, samples, of)
            if more > 0:
                found.append(f"the {name} has {more:g} more {what}")
    return found


def at(soak: Soak, samples: Sequence[Sample], share: float) -> Sample:
    """The medians of the window that ends at this share of the time."""
    end, length = share * soak.seconds, WINDOW * soak.seconds
    chosen = [each for each in samples if end - length <= each.at <= end] or samples[-1:]
    return Sample(
        end,
        median(each.memory for each in chosen),
        round(median(each.descriptors for each in chosen)),
        round(median(each.threads for each in chosen)),
    )


def _grown(soak: Soak, samples: Sequence[Sample], of: Callable[[Sample], float]) -> float:
    return of(at(soak, samples, 1)) - of(at(soak, samples, WARM + WINDOW))


def _descriptors(sample: Sample) -> float:
    return sample.descriptors


def _threads(sample: Sample) -> float:
    return sample.threads
