"""The settings of the preflight and of the doctor, which check a broker for a service."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from common.amqp.topology import Topology
from common.settings.shared import Settings, Timeout, setting
from common.settings.types import HANDLER_TIMEOUT, RETRY_DELAYS, Delays, Duration


def check_page(url: str) -> str:
    """`url` if it is the address of a page, without a user. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is the address of a page")
    if parts.username is not None:
        raise ValueError("must hold no user and no password: those of MQ_URL are used")
    return url


class CheckSettings(Settings):
    """What both have in common."""

    preflight_for: Literal["consumer", "producer"] = setting(
        "consumer", "who is to use it: the consumer, or the producer, which needs less of it", "producer"
    )
    consumer_retry_delays: Delays = setting(RETRY_DELAYS, "as the consumer has it: each delay has a queue", "5s,30s,5m")

    consumer_handler_timeout: Timeout = setting(
        HANDLER_TIMEOUT, "as the consumer has it: the broker must wait longer", "5m"
    )
    mq_management_url: Annotated[str, AfterValidator(check_page)] | None = setting(
        None, "the broker's management page, for its clock and policies", "http://rabbitmq-service:15672"
    )

    @property
    def topology(self) -> Topology:
        return Topology(self.mq_ch, self.consumer_retry_delays if self.preflight_for == "consumer" else ())

    @property
    def permissions(self) -> tuple[str, ...]:
        """What the service must be allowed to do, beside what MQ_TOPOLOGY asks for."""
        return ("consume", "publish") if self.preflight_for == "consumer" else ("publish",)


class PreflightSettings(CheckSettings):
    """Wait until the broker can be used: exit 0. At the deadline, exit with the number of what was in the way.

    With MQ_TOPOLOGY=create it makes the queues, as the services would. No message is taken, and none is left; asking
    for the right to consume leaves a line in the broker's log, of the connection `preflight`.

    10 name does not resolve; 11 no TCP; 12 TLS; 13 no AMQP; 14 user or password; 15 virtual host; 16 permission;
    17 queues; 18 a limit of the broker; 19 something else.
    """

    preflight_timeout: Annotated[Duration, Field(ge=0)] = setting(120.0, "wait so long for what may still come", "2m")


class DoctorSettings(CheckSettings):
    """Look at all that a service needs of its broker, say what is found and what to do.

    Changes nothing on the broker; some lines in its log are left, of the connection `doctor`.

    Exit 0 when the broker can be used, else with the number of what is in the way:
    10 name does not resolve; 11 no TCP; 12 TLS; 13 no AMQP; 14 user or password; 15 virtual host; 16 permission;
    17 queues; 18 a limit of the broker; 19 something else; 130 stopped before the end.
    """

    doctor_wait: Annotated[Duration, Field(ge=0)] = setting(0.0, "first wait so long until somebody can log in", "1m")
    doctor_json: bool = setting(False, "print one JSON object", "true")
