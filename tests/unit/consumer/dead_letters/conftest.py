"""What a scan needs, and no broker."""

import io
from collections.abc import Callable
from typing import Any

import pytest

from common.message import Message
from consumer.dead_letters.commands import DeadLettersSettings
from consumer.dead_letters.dead_letter import Filter
from consumer.progress import Progress
from tests.unit.conftest import Loop

ScanArguments = Callable[..., tuple[Any, ...]]


@pytest.fixture
def settings() -> DeadLettersSettings:
    """Nothing listens there."""
    return DeadLettersSettings.model_validate({"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs"})


@pytest.fixture
def scan_arguments(process: Loop, settings: DeadLettersSettings) -> ScanArguments:
    """`scan_arguments(2)`: the arguments of a `Scan` that accepts at most two messages."""
    return lambda max_accepted=None: (process, settings, Filter([], max_accepted), Progress(io.StringIO()))


def message(number: int, **headers: Any) -> Message:
    """Named `m1`, `m2` ..."""
    return Message(b"x", message_id=f"m{number}", headers=headers)
