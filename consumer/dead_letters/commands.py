"""Commands: what `list`, `show`, `replay` and `purge` do, from the request to the exit code."""

import json
import re
import shutil
import sys
from argparse import Namespace
from collections.abc import Sequence

from common.observe import logs
from common.process.exit import end_on_signals
from common.process.run import Process
from common.settings import flags as cli
from common.settings.shared import Settings
from consumer.dead_letters.fingerprint import fingerprint
from consumer.dead_letters.looking import Looking
from consumer.dead_letters.page import page
from consumer.dead_letters.parked import Parked
from consumer.dead_letters.purge import Purge
from consumer.dead_letters.replay import Replay
from consumer.dead_letters.report import EXIT_PARTLY, Report, exit_code, words
from consumer.dead_letters.request import parse
from consumer.dead_letters.selection import Selection
from consumer.dead_letters.table import table
from consumer.dead_letters.walk import Walk
from consumer.progress import Progress


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit with the code that `--help` tells."""
    asked, settings = parse(sys.argv[1:] if arguments is None else arguments)
    logs.configure(settings.log_level, settings.log_format)
    sys.exit(Commands(asked, settings).run())


class Commands:
    """What was asked for, on this broker."""

    def __init__(self, asked: Namespace, settings: Settings) -> None:
        self._asked, self._settings = asked, settings

    def run(self) -> int:
        """Do it; the exit code."""
        if getattr(self._asked, "dry_run", False):
            return self._list()
        does = {"list": self._list, "show": self._show, "replay": self._replay, "purge": self._purge}
        return does[self._asked.command]()

    def _list(self) -> int:
        looking = Looking(*self._given(self._selection()), view=lambda parked: parked.row)
        code, report = self._run(looking)
        width = shutil.get_terminal_size().columns if sys.stdout and sys.stdout.isatty() else None
        as_json = (json.dumps(row._asdict()) for row in looking.views)
        for line in as_json if self._asked.json else table(looking.views, width):
            cli.say(line)
        self._say(looking, report)
        return code

    def _show(self) -> int:
        wanted = self._asked.id
        place = int(wanted[1:]) if re.fullmatch(r"@\d{1,9}", wanted) else None

        def match(parked: Parked) -> bool:
            return parked.position == place or parked.id == wanted

        looking = Looking(*self._given(Selection([match], 1)), view=lambda parked: parked.whole)
        code, _ = self._run(looking)
        for whole in looking.views:
            cli.say(json.dumps(whole) if self._asked.json else "\n".join(page(whole)))
        if looking.views or looking.refusal:
            return code
        tell(f"no message {wanted} is parked")
        return EXIT_PARTLY

    def _replay(self) -> int:
        return self._act(Replay(*self._given(self._selection())))

    def _purge(self) -> int:
        selection = self._selection()
        if not self._asked.yes:
            if not (sys.stdin and sys.stdin.isatty()):  # None: it is closed
                cli.fail(["purge: nobody can be asked here: give --yes, or --dry-run to see what it would delete"])
            asking = Looking(*self._given(selection), view=fingerprint)
            code, report = self._run(asking)
            if code and not report.elsewhere:
                return code
            if not report.done or not confirmed(report):
                tell("nothing was deleted")
                return EXIT_PARTLY if report.done else 0
            # What came or moved to the front by now was not spoken of.
            shown = set(asking.views)
            selection = Selection([lambda parked: fingerprint(parked) in shown], report.done)
        return self._act(Purge(*self._given(selection)))

    def _act(self, walk: Walk) -> int:
        code, report = self._run(walk)
        if self._asked.json and (report.looked_at or not walk.refusal):
            cli.say(json.dumps({**report._asdict(), "exit_code": code}))
        else:
            self._say(walk, report)
        return code

    def _say(self, walk: Walk, report: Report) -> None:
        if report.looked_at or not walk.refusal:
            tell(report.sentence)

    def _selection(self) -> Selection:
        asked = self._asked
        return Selection(asked.match, asked.max, fresh=asked.command == "replay" and not asked.again)

    def _given(self, selection: Selection) -> tuple[Process, Settings, Selection, Progress]:
        return Process(self._settings.shutdown_grace), self._settings, selection, Progress(logs.Stream())

    def _run(self, walk: Walk) -> tuple[int, Report]:
        code = walk.process.run(walk)
        walk.process.loop.close()
        end_on_signals()
        report = walk.report()
        if walk.refusal:
            tell(words(walk.refusal, walk.browser.connection.broker, begun=report.looked_at > 0))
        return exit_code(report, walk.refusal, code), report


def confirmed(report: Report) -> bool:
    """Whether the person at the terminal wants it."""
    logs.Stream().write(f"Delete {report.done:,} of {report.parked:,} parked messages of {report.queue}? [y/N] ")
    logs.Stream().flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def tell(text: str) -> None:
    """A line to the person; standard output is for what was asked for."""
    logs.Stream().write(f"{text}\n")
