"""The producer's settings."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from common.process.rate import Rate
from common.settings.shared import ReadableFile, Settings, Timeout, setting
from common.settings.types import Plugin, check_ends


def check_hosts(text: str) -> str:
    """`text` in lower case, if it is a list of host names. Raises ValueError."""
    names = [name.strip().lower() for name in text.split(",")]
    if not all(re.fullmatch(r"\*|[a-z0-9._-]+", name) for name in names):
        raise ValueError("host names without ports, with commas between")
    return ",".join(names)


def check_token(path: Path) -> Path:
    """`path` if there is something in it. Raises ValueError."""
    if not path.read_bytes().strip():
        raise ValueError("is empty")
    return path


class ProducerSettings(Settings):
    """Take messages from a source and put them on a RabbitMQ queue, each confirmed by the broker."""

    model_config = SettingsConfigDict(defer_build=False)  # but at once, while the garbage collector is off

    producer_source: Plugin = setting(
        "heartbeat",
        "heartbeat, lines (standard input), lines:PATH, http, or package.module:callable "
        "(a generator, async or not, or a context manager that yields an iterable)",
        "lines:/data/input.txt",
    )
    producer_rate: Rate | None = setting(None, "messages a second", "100", unset="1 for heartbeat, else unlimited")
    producer_count: Annotated[int, Field(ge=1)] | None = setting(
        None, "stop when so many are confirmed, exit 0", "1000", unset="endless"
    )
    producer_window: Annotated[int, Field(ge=1, le=65535)] = setting(
        1024, "messages published and not yet confirmed, at most", "1024"
    )
    producer_line_ends: Literal["lf", "any"] = setting(
        "lf", "with lines: lf keeps the \\r of a Windows line end in the message, any takes both ends away", "any"
    )
    producer_bad_item: Literal["stop", "refuse"] = setting(
        "stop", "an item of the source that cannot be a message: stop there, or refuse it and go on", "refuse"
    )
    producer_checkpoint: Annotated[Path, AfterValidator(lambda path: Path(check_ends(str(path))))] | None = setting(
        None,
        "with lines:PATH: a file that remembers how far all is confirmed, to go on from there",
        "/data/input.checkpoint",
        unset="off",
    )

    producer_http_port: Annotated[int, Field(ge=1, le=65535)] = setting(
        8000, "with http: port of POST /messages", "8000"
    )
    producer_http_requests: Annotated[int, Field(ge=1, le=256)] = setting(
        64, "with http: requests whose messages are unconfirmed, at most; more are answered 429", "64"
    )
    producer_http_max_body: Annotated[int, Field(ge=1, le=512 * 1024 * 1024)] = setting(
        1_000_000, "with http: bytes of a request; a longer one is answered 413", "1000000"
    )
    producer_http_timeout: Timeout = setting(
        10.0, "with http: a request that is unconfirmed for so long is answered 504", "10s"
    )

    producer_http_hosts: Annotated[str, AfterValidator(check_hosts)] = setting(
        "localhost,producer",
        "with http: names that a request's Host may have, beside addresses; * is any",
        "localhost,producer,producer.mq-pair",
    )
    producer_http_token_file: Annotated[ReadableFile, AfterValidator(check_token)] | None = setting(
        None,
        "with http: a file with the bearer token that requests need; read again at each",
        "/run/secrets/token",
        unset="off",
    )

    def problems(self) -> dict[str, str]:
        found = super().problems()
        if self.producer_checkpoint and not self.producer_source.startswith("lines:"):
            found["PRODUCER_CHECKPOINT"] = "needs PRODUCER_SOURCE=lines:PATH: other sources cannot be taken up midway"
        return found
