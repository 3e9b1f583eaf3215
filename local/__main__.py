"""`python -m local`: run the pair on this machine, watch it, end it with a summary."""

import argparse
import itertools
import os
import signal
import sys

from common.terminal import printable
from local import Failure
from local.compose import Compose, compose_works
from local.install import install_server
from local.ports import free_port
from local.processes import Processes
from local.runner import Runner

_COUNT_SECONDS = 5


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more, for example 1000")
    return int(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    add = parser.add_argument
    add("--count", type=_number, help="end by itself after so many messages (default: endless)")
    add("--rate", type=_number, help="messages a second (default: 1; with --count, some seconds' worth)")
    add("--docker", choices=("auto", "no"), default="auto", help="no: processes, even where Docker works")
    page = os.environ.get("MQ_GUI_PORT") or "15672"
    add("--gui-port", type=_number, default=page, help="of the management page (default: MQ_GUI_PORT or 15672)")
    add("--install", choices=("yes", "no"), default="no", help="yes: without Docker, install a missing rabbitmq-server")
    return parser.parse_args()


def _settings(count: int | None, rate: int | None) -> dict[str, str]:
    # The totals are read from the services' last log lines.
    settings = {"LOG_FORMAT": "json", "LOG_LEVEL": "info"}
    if count:
        settings["PRODUCER_COUNT"] = str(count)
        rate = rate or max(1, count // _COUNT_SECONDS)
    if rate:
        settings["PRODUCER_RATE"] = str(rate)
    return settings


def _pair(asked: argparse.Namespace) -> Compose | Processes:
    port = free_port(asked.gui_port)
    if port != asked.gui_port:
        print(f"port {asked.gui_port} is taken: the management page goes to {port}")
    settings = _settings(asked.count, asked.rate)
    if asked.docker == "auto" and compose_works():
        return Compose(settings, port)
    if asked.install == "yes":
        install_server()
    return Processes(settings, port)


def _run(asked: argparse.Namespace) -> int:
    pair = _pair(asked)
    with pair.running():
        print(f"management page: {pair.management_url} ({pair.login})\nCtrl-C stops", flush=True)
        runner = Runner(pair)
        failure = None
        try:
            runner.watch()
        except Failure as broken:
            failure = broken
        except KeyboardInterrupt:
            print("\nstopping ... (Ctrl-C again leaves at once)", flush=True)
        well = runner.finish()
    if failure:
        raise failure
    return 0 if well else 1


def main() -> int:
    """Return the exit code: 0 all well, 1 something broke or was left, 130 left at once."""
    presses = itertools.count(1)

    def interrupt(*_: object) -> None:
        # A third signal would cut off the removal of what was started.
        if next(presses) <= 2:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        return _run(_arguments())
    except Failure as failure:
        print(printable(str(failure), "\n\t"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nleft at once: no summary", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
