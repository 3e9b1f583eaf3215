"""`consumer dead-letters`: its start."""

import sys
from collections.abc import Sequence
from io import TextIOWrapper

from common import logs
from consumer.dead_letters.commands import Commands
from consumer.dead_letters.request import parse


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit with the code that `--help` tells."""
    asked, settings = parse(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a body may hold what this terminal cannot show
    logs.configure(settings.log_level, settings.log_format)
    sys.exit(Commands(asked, settings).run())


if __name__ == "__main__":
    main()
