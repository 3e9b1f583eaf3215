"""A trial: one promise put to the test, and the row of the table that comes of it."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from consumer.settings import ConsumerSettings
from local import Failure
from producer.settings import ProducerSettings
from tests.chaos.checker import Account, account
from tests.chaos.promise import Promise
from tests.chaos.scene import RECOVERY, Broker, Scene

LINES_A_MINUTE = 1500.0  # twenty a second of one kind, and the changes of connections
MEMORY = 100.0  # MiB
# Messages in flight that a lost connection or process may repeat.
WINDOWS = sum(
    kind.model_fields[name].default
    for kind, name in ((ProducerSettings, "producer_window"), (ConsumerSettings, "consumer_prefetch"))
)


@dataclass(frozen=True, slots=True)
class Row:
    """What the table shows of a trial."""

    name: str
    account: Account
    recovery: float  # seconds
    memory: float  # MiB, the most of all processes
    lines: float  # of log, a minute
    seconds: float
    complaints: tuple[str, ...]  # empty when the promise held

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        """What `dataclasses.asdict` made a dict."""
        return cls(**fields | {"account": Account(**fields["account"])})


def put_to_test(promise: Promise, broker: Broker, folder: Path, *, short: bool, wire: str) -> Row:
    """Run both services with this MQ_WIRE, break something under them, mend it, and account for every message."""
    began = time.monotonic()
    with Scene(broker, folder, promise.settings, short=short, proxied=promise.proxied, wire=wire) as scene:
        recovery = 0.0
        try:
            if not promise.cold:
                scene.start()
                scene.flow()
            promise.fault(scene)
            recovery = scene.recovery(RECOVERY + 10)
            scene.hold(2, short=1)
        except (AssertionError, Failure) as broken:  # the account is made all the same
            scene.notes.append(str(broken))
            scene.restore()
        scene.drain(promise.parked)
        return judge(scene, promise, recovery, began)


def judge(scene: Scene, promise: Promise, recovery: float, began: float) -> Row:
    """Look at all that is left after the services ended."""
    pair = scene.pair
    parked, left = scene.queues.empty()
    total = account(pair.attempted(), pair.confirmed(), pair.handled.read().names, parked, left)
    seconds = time.monotonic() - began
    row = Row(promise.name, total, recovery, scene.memory.peak, pair.log_lines() * 60 / seconds, seconds, ())
    found = _account_complaints(total, scene, parked, promise) + _other_complaints(row, scene)
    return replace(row, complaints=tuple(scene.notes + found))


def _account_complaints(total: Account, scene: Scene, parked: list[str], promise: Promise) -> list[str]:
    pair = scene.pair
    refused, dead = set(pair.refused.read().names), set(parked)
    wrong = sorted(name for name in set(pair.attempted()) - refused if (name in dead) != promise.parked(name))
    found = {
        "lost": total.lost,
        "unexpected": total.unexpected,
        "not in the dead-letter queue, or wrongly there": wrong,
        "still in a queue": [""] * total.left,
        "came under two message_ids": pair.handled.doubtful(),
        "handled although refused": sorted(refused & set(pair.handled.names)),
    }
    return [f"{len(names)} {what}: {', '.join(names[:3])}" for what, names in found.items() if names]


def _other_complaints(row: Row, scene: Scene) -> list[str]:
    pair = scene.pair
    refused = bool(pair.refused.names)
    codes = {"producer": pair.producer.code(), "consumer": pair.consumer.code()}
    losses = pair.connects() + len(pair.processes)
    checks = {
        f"exit codes {codes}": codes != {"producer": int(refused), "consumer": 0},
        f"recovery took {row.recovery:.1f} s": row.recovery > RECOVERY,
        f"{row.memory:.0f} MiB": row.memory > MEMORY,
        f"{row.lines:.0f} log lines a minute": row.lines > LINES_A_MINUTE,
        f"{row.account.duplicated} duplicates": row.account.duplicated > WINDOWS * losses,
        "a defect is in the log": any(process.event("defect") for process in pair.processes),
        "the password is in the log": any(scene.password in process.stderr.read_text() for process in pair.processes),
    }
    return [complaint for complaint, wrong in checks.items() if wrong]
