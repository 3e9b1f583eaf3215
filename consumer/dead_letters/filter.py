"""Filter: which dead letters a command acts on, by expressions such as `error~Timeout`. Pure."""

import re
from collections.abc import Callable, Sequence

from common.settings.types import parse_duration
from consumer.copies import replays
from consumer.dead_letters.dead_letter import DeadLetter, text_of

SYNTAX = "id=ID, error~REGEX, header.NAME=TEXT (= is equal, ~ is found in), older=DURATION, newer=DURATION"
AGE = re.compile(r"(older|newer)=(.*)", re.DOTALL)
TEXT = re.compile(r"(id|error|header\.[^=~]+)([=~])(.*)", re.DOTALL)
MAX_REPLAYS = 2  # a message that came back from two replays will come back from a third

Expression = Callable[[DeadLetter], bool]


class Filter:
    """Decides for one dead letter after the other, and counts what it decided."""

    def __init__(
        self, expressions: Sequence[Expression], max_accepted: int | None = None, *, skip_replayed: bool = False
    ) -> None:
        """Accept what all `expressions` match; with `skip_replayed` none that was replayed MAX_REPLAYS times."""
        self.examined = self.accepted = self.replayed_too_often = 0
        self.more = False  # whether `max_accepted` alone kept it from accepting another
        self._expressions, self._max_accepted, self._skip_replayed = expressions, max_accepted, skip_replayed

    @property
    def full(self) -> bool:
        """Whether `max_accepted` is reached."""
        return self._max_accepted is not None and self.accepted >= self._max_accepted

    def accepts(self, letter: DeadLetter) -> bool:
        """Whether the command acts on `letter`."""
        self.examined += 1
        if not all(matches(letter) for matches in self._expressions):
            return False
        if self._skip_replayed and replays(letter.message) >= MAX_REPLAYS:
            self.replayed_too_often += 1
            return False
        if self.full:
            self.more = True
            return False
        self.accepted += 1
        return True


def parse_expression(text: str) -> Expression:
    """The test that `text` stands for. Raises ValueError with a sentence for people."""
    if age := AGE.fullmatch(text):
        return _age_expression(age[1], parse_duration(age[2]))
    parts = TEXT.fullmatch(text)
    if not parts:
        raise ValueError(f"{text!r} is none of {SYNTAX}")
    name, operator, wanted = parts.groups()
    regex = _compiled(wanted) if operator == "~" else None

    def matches(letter: DeadLetter) -> bool:
        value = _value(letter, name)
        return value is not None and (regex.search(value) is not None if regex else value == wanted)

    return matches


def _age_expression(name: str, seconds: float) -> Expression:
    def matches(letter: DeadLetter) -> bool:
        age = letter.message.age
        return age is not None and (age > seconds if name == "older" else age < seconds)

    return matches


def _value(letter: DeadLetter, name: str) -> str | None:
    if name == "error":
        return letter.error
    if name == "id":
        return letter.id
    header = letter.message.headers.get(name.removeprefix("header."))
    return None if header is None else text_of(header)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
