"""Needs: which queues and rights the service needs that the preflight and the doctor look for."""

from typing import Literal

from pydantic import Field

from common.duration import RETRY_DELAYS, Delays
from common.settings import Settings
from common.topology import Topology


class Needs(Settings):
    """The settings of one who looks at a broker for a service."""

    preflight_for: Literal["consumer", "producer"] = Field(
        "consumer",
        description="who is to use it: the consumer, or the producer, which needs less of it",
        examples=["producer"],
    )
    consumer_retry_delays: Delays = Field(
        RETRY_DELAYS, description="as the consumer has it: each delay has a queue", examples=["5s,30s,5m"]
    )

    @property
    def topology(self) -> Topology:
        """The queues that the service declares."""
        return Topology(self.mq_ch, self.consumer_retry_delays if self.preflight_for == "consumer" else ())

    @property
    def rights(self) -> tuple[str, ...]:
        """What it must be allowed to do, beside what MQ_TOPOLOGY asks for."""
        return ("consume", "publish") if self.preflight_for == "consumer" else ("publish",)
