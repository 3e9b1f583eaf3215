"""Goals: the ratios that this project holds itself to, each against a peer in the same round."""

from collections.abc import Sequence
from typing import Final, NamedTuple

OURS: Final = "ours"
CEILING: Final = "rabbitmq-c"
FROM: Final = 10_000
"""Messages from which growth is counted; of fewer, the beginning is a large part."""


class Goal(NamedTuple):
    """Ours divided by the peer's figure; no peer: our own figure. `bound` must be met, `aim` is where we go next.

    `grown`: of each, how many times the figure of a series' first case its last has. The peer's is the machine's: what
    it does for a message is always the same.
    """

    title: str
    measure: str
    figure: str
    peer: str | None
    bound: float
    aim: float
    at_most: bool = False
    grown: bool = False

    def met_by(self, value: float) -> bool:
        """Whether `value` is within the bound."""
        return value <= self.bound if self.at_most else value >= self.bound


def _faster(measure: str, title: str, peers: dict[str, tuple[float, float]]) -> list[Goal]:
    return [Goal(title, measure, "rate", peer, bound, aim) for peer, (bound, aim) in peers.items()]


GOALS: Final[Sequence[Goal]] = [
    *_faster(
        "publish",
        "publish",
        {"rabbitmq-c": (0.7, 0.9), "pika-tutorial": (18, 30), "aio-pika-uvloop": (3, 5), "faststream-256": (5, 8)},
    ),
    *_faster(
        "consume",
        "consume",
        {"rabbitmq-c": (0.4, 0.6), "pika-tutorial": (3.5, 5), "aio-pika-uvloop": (2.4, 3.5), "faststream": (8, 12)},
    ),
    *_faster(
        "end-to-end", "end to end", {"rabbitmq-c": (0.6, 0.9), "pika-tutorial": (15, 25), "aio-pika-uvloop": (3, 5)}
    ),
    Goal("p99 at 500/s", "latency", "p99_ms", "pika-tutorial", 1.2, 1, at_most=True),
    *(
        Goal(f"CPU growth, {what}", f"series-{what}", "cpu_us", CEILING, 1.1, 1, at_most=True, grown=True)
        for what in ("publish", "consume", "consumers")
    ),
    Goal("start to first confirm", "start", "start_ms", "pika-tutorial", 2.5, 1.5, at_most=True),
    Goal("peak MiB, producer", "publish", "peak_mib", None, 50, 40, at_most=True),
    Goal("peak MiB, consumer", "consume", "peak_mib", None, 50, 40, at_most=True),
]
