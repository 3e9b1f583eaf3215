"""Patience: how long a command waits for the broker."""

import time
from collections.abc import Sequence

from common.amqp.connection import Connection, State
from common.amqp.errors import FINAL, Kind, Refusal
from common.settings.shared import Settings


class Patience:
    """A person waits: each broker is tried once, and afterwards something must move in MQ_BLOCKED_TIMEOUT."""

    def __init__(self, settings: Settings) -> None:
        self.was_open = False  # all connections, at the same time
        self._stall = settings.mq_blocked_timeout
        self._connect_by = time.monotonic() + settings.mq_connect_timeout * (len(settings.broker_urls()) - 1)

    def refusal(self, connections: Sequence[Connection], moved_at: float, now: float) -> Refusal | None:
        """Why to wait no longer, if so. `moved_at` is when something last moved."""
        self.was_open = self.was_open or all(each.state is State.OPEN for each in connections)
        found = next((each.refusal for each in connections if each.refusal), None)
        if not self.was_open:
            return found if now >= self._connect_by else None
        if found and (found.kind in FINAL or "NOT_FOUND" in found.text):
            return found
        if now - moved_at < self._stall:
            return None
        reasons = "; ".join(reason for each in connections for reason in each.reasons())
        return found or Refusal(Kind.LIMIT, f"nothing moved for MQ_BLOCKED_TIMEOUT; {reasons}")
