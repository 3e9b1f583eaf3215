"""Match: which parked messages are meant. Pure."""

import re
from collections.abc import Callable

from common.settings.types import parse_duration
from consumer.dead_letters.parked import Parked, text_of

SYNTAX = "id=ID, error~REGEX, header.NAME=TEXT (= is equal, ~ is found in), older=DURATION, newer=DURATION"
AGE = re.compile(r"(older|newer)=(.*)", re.DOTALL)
TEXT = re.compile(r"(id|error|header\.[^=~]+)([=~])(.*)", re.DOTALL)

Match = Callable[[Parked], bool]


def parse_match(text: str) -> Match:
    """What `text` means. Raises ValueError, a sentence for people."""
    if age := AGE.fullmatch(text):
        return _age(age[1], parse_duration(age[2]))
    expression = TEXT.fullmatch(text)
    if not expression:
        raise ValueError(f"{text!r} is none of {SYNTAX}")
    name, how, wanted = expression.groups()
    fits = _equal(wanted) if how == "=" else _found(wanted)

    def match(parked: Parked) -> bool:
        value = _value(parked, name)
        return value is not None and fits(value)

    return match


def _value(parked: Parked, name: str) -> str | None:
    if name == "error":
        return parked.error
    if name == "id":
        return parked.id
    header = parked.message.headers.get(name.removeprefix("header."))
    return None if header is None else text_of(header)


def _age(name: str, seconds: float) -> Match:
    def match(parked: Parked) -> bool:
        age = parked.message.age
        return age is not None and (age > seconds if name == "older" else age < seconds)

    return match


def _equal(wanted: str) -> Callable[[str], bool]:
    return lambda value: value == wanted


def _found(pattern: str) -> Callable[[str], bool]:
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return lambda value: compiled.search(value) is not None
