"""Types: durations, delays and queue names, as people write them in settings."""

import re
from typing import Annotated
from unicodedata import name as name_of

from pydantic import AfterValidator, PlainValidator
from pydantic_settings import NoDecode

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
TTL_MAX = 1176 * 3600.0  # seconds; x-message-ttl has 32 bits of milliseconds
HANDLER_TIMEOUT = 300.0  # seconds; the default, here for the doctor as well
# Seconds, 66 minutes in all; the default, here because the doctor must know the consumer's queues.
RETRY_DELAYS = (5.0, 30.0, 300.0, 1200.0, 2400.0)
RETRY_SUFFIX_MAX = len(b".retry.31536000000ms")  # bytes; a delay of a year
QUEUE_NAME_MAX = 255 - RETRY_SUFFIX_MAX  # bytes; AMQP's names have up to 255


def parse_duration(text: str | float) -> float:
    """Seconds of `250ms`, `5s`, `2m`, `1h`; a number is seconds already. Raises ValueError."""
    if isinstance(text, int | float):
        return float(text)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text.strip())
    if not match:
        raise ValueError("a duration is a number and its unit: ms, s, m or h")
    seconds = float(match[1]) * UNITS[match[2]]
    if seconds > 365 * 24 * 3600:
        raise ValueError("longer than a year")
    return seconds


def format_duration(seconds: float) -> str:
    """The text of `seconds` in the largest unit that divides it: 250ms, 5s, 2m, 1h."""
    for unit, size in (("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= size and seconds % size == 0:
            return f"{round(seconds / size)}{unit}"
    return f"{round(seconds * 1000)}ms"


def parse_delays(text: str | tuple[float, ...]) -> tuple[float, ...]:
    """Seconds of `5s,30s,5m`; an empty text means no retries. Raises ValueError."""
    if isinstance(text, tuple):
        return text
    delays = tuple(parse_duration(part) for part in text.split(",")) if text.strip() not in ("", "off") else ()
    if any(not 0.001 <= delay <= TTL_MAX for delay in delays) or len(delays) > 20:
        raise ValueError("up to 20 delays between 1ms and 1176h (49 days, the broker's longest)")
    return delays


Duration = Annotated[float, PlainValidator(parse_duration)]
Delays = Annotated[tuple[float, ...], NoDecode, PlainValidator(parse_delays)]


# Unicode counts these among letters, marks and symbols; the ranges select a variant of the character before them.
BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
UNDECODED = re.compile("[\udc80-\udcff]")  # bytes of a file's name that are no UTF-8
WINDOWS = {"\r": ", the carriage return of a Windows line end"}


def named(character: str) -> str:
    """Its number, and its name if it has one."""
    return f"U+{ord(character):04X}{WINDOWS.get(character, '')} {name_of(character, '')}".strip()


def check_visible(text: str) -> str:
    """`text` if a person sees each character: another one makes another name that looks alike. Raises ValueError."""
    for character in text:
        if BLANK.match(character) or not (character.isprintable() or UNDECODED.match(character)):
            raise ValueError(f"holds a character that nobody sees: {named(character)}")
    return text


def check_ends(text: str) -> str:
    """`text` without blank or quote at its ends, which `docker run --env-file` keeps. Raises ValueError."""
    for character in text[:1] + text[-1:]:
        if character in " \"'`":
            raise ValueError(f"begins or ends with {named(character)}: write it without")
    return text


def check_plugin(name: str) -> str:
    """`name` of a source or handler, such as `append:PATH`, and its part behind the colon. Raises ValueError."""
    check_ends(name.partition(":")[2])
    return check_ends(name)


Plugin = Annotated[str, AfterValidator(check_plugin)]


def check_queue_name(name: str) -> str:
    """`name` if the broker takes it, also with the suffix of a retry queue. Raises ValueError."""
    if not name:
        raise ValueError("empty, and the broker would invent a name")
    check_ends(check_visible(name))
    if len(name.encode(errors="replace")) > QUEUE_NAME_MAX:
        raise ValueError(f"longer than {QUEUE_NAME_MAX} bytes (255 with the suffix of a retry queue)")
    if UNDECODED.search(name):
        raise ValueError("holds bytes that are no UTF-8")
    if name.startswith("amq."):
        raise ValueError("names that begin with amq. belong to the broker")
    return name
