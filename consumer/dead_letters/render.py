"""Render: a table, a page of one message, and the sentences at the end, for people at a terminal. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from common.amqp.errors import BrokerError, Kind
from common.terminal import columns, cut, printable
from consumer.dead_letters.dead_letter import Row
from consumer.dead_letters.scan import PAST_TENSE, Report

HEAD = ("#", "ID", "AGE", "ATTEMPT", "REPLAYS", "BYTES", "ERROR")
RIGHT_ALIGNED = {"#", "AGE", "ATTEMPT", "REPLAYS", "BYTES"}
GAP = "  "
UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
BODY_WHITESPACE = "\n\t"  # written as it is in a body, though it is not printable
HEX_BYTES_PER_LINE = 16
ID, LEAST_ID, LEAST_ERROR = HEAD.index("ID"), 12, 20  # columns that a narrow terminal leaves to an id and an error
MISSING_QUEUE = "is MQ_CH right? a producer or consumer that starts there makes the queue"


def table(rows: Sequence[Row], width: int | None) -> Iterator[str]:
    """A line for each row under a line of heads, none for no rows.

    Lines longer than `width` columns are cut, and before that the ids, which have up to 255 bytes and would hide what
    comes after them.
    """
    if not rows:
        return
    lines = [HEAD, *map(_cells, rows)]
    widths = [max(columns(line[i]) for line in lines) for i in range(len(HEAD) - 1)]
    if width is not None:
        others = sum(widths) - widths[ID] + len(GAP) * len(widths)
        widths[ID] = min(widths[ID], max(LEAST_ID, width - LEAST_ERROR - others))
    for line in lines:
        yield cut(_line([*line[:ID], cut(line[ID], width and widths[ID]), *line[ID + 1 :]], widths), width)


def page(details: dict[str, Any]) -> Iterator[str]:
    """The lines for `DeadLetter.details`; a body that is no text as hexadecimal digits."""
    yield f"position    {details['position']}"
    yield f"id          {printable(details['id'] or '-')}"
    yield f"age         {short_age(details['age'])}"
    yield f"attempt     {details['attempt']}, replayed {details['replays']} times"
    yield f"error       {printable(details['error'] or '-')}"
    for name in ("properties", "headers"):
        yield name
        yield from (f"  {printable(key)} = {printable(str(value))}" for key, value in details[name].items())
    yield f"body        {details['bytes']} bytes"
    if "body" in details:
        yield printable(details["body"], BODY_WHITESPACE)
        return
    body = bytes.fromhex(details["body_hex"])
    for start in range(0, len(body), HEX_BYTES_PER_LINE):
        yield f"  {body[start : start + HEX_BYTES_PER_LINE].hex(' ')}"


def sentence(report: Report) -> str:
    """What was done and what is left, and why, in one line."""
    if not report.parked:
        return "interrupted" if report.interrupted else f"nothing is parked in {report.queue}"
    notes = {
        "no more were asked for (--max)": report.more,
        "{} were replayed twice already and stay (--again replays them too)": report.replayed_too_often,
        "{} can not be published and stay (LOG_LEVEL=warning says why)": report.unpublishable,
        "{} were sent and not confirmed: they stay, and may be in both queues": report.unconfirmed,
        "{} did not come: another program reads the queue, or it changed its leader; look again": report.elsewhere,
        "interrupted: the others stay": report.interrupted,
    }
    done = f"{PAST_TENSE[report.command]}{report.done:,} of {report.parked:,} parked messages of {report.queue}"
    return "; ".join([done, *(note.format(f"{number:,}") for note, number in notes.items() if number)])


def broker_error(error: BrokerError, broker: object, *, begun: bool) -> str:
    """Why the broker could not be used or, if the scan had `begun`, was lost."""
    missing = error.kind is Kind.TOPOLOGY and "NOT_FOUND" in error.text
    reason = BrokerError(error.kind, error.text, MISSING_QUEUE) if missing else error
    return f"the broker {broker} cannot be used{' any more' * begun}: {reason}"


def short_age(seconds: float | None) -> str:
    """`3d`, `5h`, `12m`, `8s`, or `-` for an unknown age."""
    if seconds is None:
        return "-"
    return next((f"{int(seconds // size)}{unit}" for unit, size in UNITS if seconds >= size), "0s")


def _cells(row: Row) -> tuple[str, ...]:
    numbers = (str(row.attempt), str(row.replays), str(row.bytes))
    return (str(row.position), printable(row.id or "-"), short_age(row.age), *numbers, printable(row.error or "-"))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = []
    for head, cell, wide in zip(HEAD, cells, widths, strict=False):
        blank = " " * (wide - columns(cell))
        padded.append(blank + cell if head in RIGHT_ALIGNED else cell + blank)
    return GAP.join([*padded, cells[-1]])
