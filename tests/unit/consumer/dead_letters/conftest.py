"""What a walk needs, and no broker."""

import io
from collections.abc import Callable
from typing import Any

import pytest

from common.message import Message
from consumer.dead_letters.request import DeadLettersSettings
from consumer.dead_letters.selection import Selection
from consumer.progress import Progress
from tests.unit.conftest import Loop

Given = Callable[..., tuple[Any, ...]]


@pytest.fixture
def settings() -> DeadLettersSettings:
    """Nothing listens there."""
    return DeadLettersSettings.model_validate({"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs"})


@pytest.fixture
def given(process: Loop, settings: DeadLettersSettings) -> Given:
    """`given(most=2)`: the arguments of a `Walk` that takes two."""
    return lambda most=None: (process, settings, Selection([], most), Progress(io.StringIO()))


def message(number: int, **headers: Any) -> Message:
    """Named `m1`, `m2` ..."""
    return Message(b"x", message_id=f"m{number}", headers=headers)
