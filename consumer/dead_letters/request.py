"""Request: the command line of `consumer dead-letters`."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import Field

from common.settings.flags import Parser, Wide, add_flags, read
from common.settings.shared import Settings
from consumer.dead_letters.match import SYNTAX, parse_match
from consumer.dead_letters.selection import REPLAYS

PROGRAM = "consumer dead-letters"
LISTED = 1000
EXIT_CODES = (
    "Exit codes: 0 done; 1 not all of it: interrupted, not confirmed, replayed too often, held by another program, or "
    "no such message; 2 a wrong setting or flag; 10 to 19 the broker cannot be used or was lost, as those of "
    "`python -m common.doctor.preflight`."
)
EXAMPLE = f"For example: {PROGRAM} replay --match error~timeout --match header.tenant=acme --match older=2h --dry-run"
FLAGS = ("mq_url_file", "mq_url", "mq_ch", "log_level")
COMMANDS = {
    "list": "one line for each parked message, the oldest first; changes nothing",
    "show": "all of one message; changes nothing",
    "replay": "publish messages to MQ_CH again, and take each out when the broker has confirmed it",
    "purge": "delete messages; asks first, or needs --yes",
}


class DeadLettersSettings(Settings):
    """Those of the consumer, from the environment."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "error", description="debug, info, warning or error", examples=["debug"]
    )


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, DeadLettersSettings]:
    """What is asked for, and where. Exits with 2 and a line for each mistake, with 0 after `--help`.

    The namespace has `command`, `json`, and what the command takes of `id`, `match`, `max`, `dry_run`, `again`, `yes`.
    """
    told = (
        "Look at what is parked in MQ_CH.dead, replay it, or delete it. A look changes no message and no order; before "
        "RabbitMQ 4.3 the broker counts it as a delivery of each, of which the queue allows a million."
    )
    parser = Parser(PROGRAM, description=told, epilog=EXAMPLE, formatter_class=Wide)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, does in COMMANDS.items():
        usage = f"{PROGRAM} {name} {'ID ' * (name == 'show')}[OPTION]..."
        style: dict[str, Any] = {"usage": usage, "epilog": EXIT_CODES, "formatter_class": Wide, "allow_abbrev": False}
        _add(commands.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.", **style), name)
    asked = parser.parse_args(arguments)
    settings = read(DeadLettersSettings, {key: value for key, value in vars(asked).items() if key in FLAGS})
    # A look makes no queues: of a mistaken MQ_CH it says that there is none.
    return asked, settings.model_copy(update={"mq_topology": "assert"})


def _add(parser: argparse.ArgumentParser, command: str) -> None:
    add = parser.add_argument
    if command == "show":
        add("id", metavar="ID", help="a message id, or @3 for the third of the list")
    else:
        told = f"only those for which all given hold: {SYNTAX}"
        add("--match", action="append", default=[], type=_typed(parse_match), metavar="WHICH", help=told)
        most = LISTED if command == "list" else None
        told = f"at most so many (default: {LISTED})" if most else "at most so many"
        add("--max", type=_typed(_positive), default=most, metavar="N", help=told)
    if command in ("replay", "purge"):
        add("--dry-run", action="store_true", help="list those that it would be, and leave them")
    if command == "replay":
        add("--again", action="store_true", help=f"also those that were replayed {REPLAYS} times already")
    if command == "purge":
        add("--yes", action="store_true", help="do not ask")
    add("--json", action="store_true", help="one JSON object a line")
    fields = DeadLettersSettings.model_fields
    told = "the consumer's, from the environment; of them also as flags:"
    add_flags(parser.add_argument_group("settings", told), {name: fields[name] for name in FLAGS})


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is no number from 1 on")
    return int(text)


def _typed(parse_value: Callable[[str], Any]) -> Callable[[str], Any]:
    """For argparse, which shows the text of its own error only."""

    def parsed(text: str) -> Any:
        try:
            return parse_value(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed
