"""The doctor's settings."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from common.doctor.needs import Needs
from common.duration import Duration


def check_page(url: str) -> str:
    """`url` if it is the address of a page, without a user. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is the address of a page")
    if parts.username is not None:
        raise ValueError("must hold no user and no password: only the page's clock is looked at")
    return url


class DoctorSettings(Needs):
    """Look at all that a service needs of its broker, say what is found and what to do.

    Changes nothing on the broker; some lines in its log are left, of the connection `doctor`.

    Exit 0 when the broker can be used, else with the number of what is in the way:
    10 name does not resolve; 11 no TCP; 12 TLS; 13 no AMQP; 14 user or password; 15 virtual host; 16 permission;
    17 queues; 18 a limit of the broker; 19 something else; 130 stopped before the end.
    """

    doctor_wait: Annotated[Duration, Field(ge=0)] = Field(
        0.0, description="first wait so long until somebody can log in", examples=["1m"]
    )
    mq_management_url: Annotated[str, AfterValidator(check_page)] | None = Field(
        None,
        description="the broker's management page, to compare its clock with ours",
        examples=["http://rabbitmq-service:15672"],
    )
    doctor_json: bool = Field(False, description="print one JSON object", examples=["true"])
