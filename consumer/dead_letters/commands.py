"""Commands: the command line of `consumer dead-letters`, and what its commands do, up to the exit code."""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from common.observe import logs
from common.observe.stream import STDERR
from common.process.exit import ExitCode, end_on_signals
from common.process.run import Process
from common.settings import flags as cli
from common.settings.shared import Settings, setting
from common.terminal import printable
from consumer.dead_letters.dead_letter import MAX_REPLAYS, SYNTAX, DeadLetter, Expression, Filter, parse_expression
from consumer.dead_letters.render import broker_error, page, sentence, table
from consumer.dead_letters.replay import Purge, Replay
from consumer.dead_letters.scan import Listing, Report, Scan
from consumer.progress import Progress

PROGRAM = "consumer dead-letters"
MAX_LISTED = 1000
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
EXIT_PARTLY = ExitCode.FAILED

S = TypeVar("S", bound=Scan)


class DeadLettersSettings(Settings):
    """The consumer's settings, from the environment, with a log that tells only errors."""

    log_level: Literal["debug", "info", "warning", "error"] = setting("error", "debug, info, warning or error", "debug")


def main(arguments: Sequence[str]) -> None:
    """Exit with the code that `--help` tells."""
    parsed, settings = parse(arguments)
    logs.configure(settings.log_level, settings.log_format)
    sys.exit(Commands(parsed, settings).run())


class Commands:
    """The commands, with the arguments and the broker of this one call."""

    def __init__(self, arguments: argparse.Namespace, settings: Settings) -> None:
        self._arguments, self._settings = arguments, settings

    def run(self) -> int:
        if getattr(self._arguments, "dry_run", False):
            return self._list()
        commands = {"list": self._list, "show": self._show, "replay": self._replay, "purge": self._purge}
        return commands[self._arguments.command]()

    def _list(self) -> int:
        listing, report, code = self._scan(Listing, self._filter(), view=lambda letter: letter.row)
        width = shutil.get_terminal_size().columns if sys.stdout and sys.stdout.isatty() else None
        as_json = (json.dumps(row._asdict()) for row in listing.views)
        for line in as_json if self._arguments.json else table(listing.views, width):
            cli.say(line)
        if report.looked_at or not listing.error:
            tell(sentence(report))
        return code

    def _show(self) -> int:
        wanted = self._arguments.id
        position = int(wanted[1:]) if re.fullmatch(r"@\d{1,9}", wanted) else None

        def matches(letter: DeadLetter) -> bool:
            # Whoever publishes chooses ids: one that looks like a position must not be shown in its place.
            return letter.position == position if position else letter.id == wanted

        listing, _, code = self._scan(Listing, Filter([matches], 1), view=lambda letter: letter.details)
        for details in listing.views:
            cli.say(json.dumps(details) if self._arguments.json else "\n".join(page(details)))
        if listing.views or listing.error:
            return code
        tell(f"no message {wanted} is parked")
        return EXIT_PARTLY

    def _replay(self) -> int:
        return self._take_out(Replay, self._filter())

    def _purge(self) -> int:
        wanted = self._filter()
        if not self._arguments.yes:
            if not (sys.stdin and sys.stdin.isatty()):  # None: it is closed
                cli.fail(["purge: nobody can be asked here: give --yes, or --dry-run to see what it would delete"])
            listing, report, code = self._scan(Listing, wanted, view=lambda letter: letter.fingerprint)
            if code and not report.elsewhere:
                return code
            if not report.done or not confirmed(report):
                tell("nothing was deleted")
                return EXIT_PARTLY if report.done else 0
            # The person was not asked about what was parked, or moved to the front, since.
            asked_about = set(listing.views)
            wanted = Filter([lambda letter: letter.fingerprint in asked_about], report.done)
        return self._take_out(Purge, wanted)

    def _take_out(self, kind: type[Scan], wanted: Filter) -> int:
        scan, report, code = self._scan(kind, wanted)
        if report.looked_at or not scan.error:
            if self._arguments.json:
                cli.say(json.dumps({**report._asdict(), "exit_code": code}))
            else:
                tell(sentence(report))
        return code

    def _filter(self) -> Filter:
        given = self._arguments
        return Filter(given.match, given.max, skip_replayed=given.command == "replay" and not given.again)

    def _scan(self, kind: Callable[..., S], wanted: Filter, **options: Any) -> tuple[S, Report, int]:
        """A scan that has come to its end, what came of it, and the exit code."""
        process = Process(self._settings.shutdown_grace)
        scan = kind(process, self._settings, wanted, Progress(STDERR), **options)
        left_over = process.run(scan)
        process.loop.close()
        end_on_signals()
        report = scan.report()
        if scan.error:
            tell(broker_error(scan.error, scan.browser.connection.broker, begun=report.looked_at > 0))
            return scan, report, int(scan.error.kind)
        return scan, report, 0 if report.complete and not left_over else EXIT_PARTLY


def confirmed(report: Report) -> bool:
    """Whether the person at the terminal answers that the messages shall be deleted."""
    STDERR.write(f"Delete {report.done:,} of {report.parked:,} parked messages of {report.queue}? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def tell(text: str) -> None:
    """A line to the person, on standard error: standard output is for what was asked for."""
    STDERR.write(f"{printable(text)}\n")


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, DeadLettersSettings]:
    """The arguments, and the settings of the broker. Exits with 2 and a line for each mistake, with 0 after `--help`.

    The namespace has `command`, `json`, and what the command takes of `id`, `match`, `max`, `dry_run`, `again`, `yes`.
    """
    told = (
        "Look at what is parked in MQ_CH.dead, replay it, or delete it. A look changes no message and no order; before "
        "RabbitMQ 4.3 the broker counts it as a delivery of each, of which the queue allows a million."
    )
    parser = cli.Parser(PROGRAM, description=told, epilog=EXAMPLE, formatter_class=cli.Wide)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    style: dict[str, Any] = {"epilog": EXIT_CODES, "formatter_class": cli.Wide, "allow_abbrev": False}
    for name, does in COMMANDS.items():
        usage = f"{PROGRAM} {name} {'ID ' * (name == 'show')}[OPTION]..."
        description = f"{does[0].upper()}{does[1:]}."
        _add(commands.add_parser(name, usage=usage, help=does, description=description, **style), name)
    parsed = parser.parse_args(arguments)
    settings = cli.read(DeadLettersSettings, {key: value for key, value in vars(parsed).items() if key in FLAGS})
    # No command declares queues: with a mistaken MQ_CH the broker answers that there is no such queue.
    return parsed, settings.model_copy(update={"mq_topology": "assert"})


def _add(parser: argparse.ArgumentParser, command: str) -> None:
    add = parser.add_argument
    if command == "show":
        add("id", metavar="ID", help="a message id, or @3 for the third of the list, whatever the ids are")
    else:
        told = f"only those for which all given hold: {SYNTAX}"
        add("--match", action="append", default=[], type=_expression, metavar="WHICH", help=told)
        most = MAX_LISTED if command == "list" else None
        told = f"at most so many (default: {MAX_LISTED})" if most else "at most so many"
        add("--max", type=_positive, default=most, metavar="N", help=told)
    if command in ("replay", "purge"):
        add("--dry-run", action="store_true", help="list those that it would be, and leave them")
    if command == "replay":
        add("--again", action="store_true", help=f"also those that were replayed {MAX_REPLAYS} times already")
    if command == "purge":
        add("--yes", action="store_true", help="do not ask")
    add("--json", action="store_true", help="one JSON object a line")
    fields = DeadLettersSettings.model_fields
    told = "the consumer's, from the environment; of them also as flags:"
    cli.add_flags(parser.add_argument_group("settings", told).add_argument, {name: fields[name] for name in FLAGS})


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _expression(text: str) -> Expression:
    try:
        return parse_expression(text)
    except ValueError as error:  # argparse shows the text of its own kind of error only
        raise argparse.ArgumentTypeError(str(error)) from None
