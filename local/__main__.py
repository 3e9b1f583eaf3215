"""`python -m local`: run the pair on this machine, watch it, end it with a summary."""

import argparse
import itertools
import signal
import sys

from common.terminal import printable
from local import Failure
from local.compose import Compose, compose_works
from local.install import install_server
from local.ports import free_port
from local.processes import Processes
from local.runner import Runner

_GUI_PORT = 15672
_COUNT_SECONDS = 5


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more, for example 1000")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, for example {_GUI_PORT}")
    return int(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("--count", type=_positive, help="end by itself after so many messages (default: endless)")
    parser.add_argument(
        "--rate", type=_positive, help="messages a second (default: 1; with --count, some seconds' worth)"
    )
    parser.add_argument(
        "--docker", choices=("auto", "no"), default="auto", help="no: processes, even where Docker works"
    )
    parser.add_argument(
        "--gui-port", type=_port, default=_GUI_PORT, help="of the management page (default: %(default)s)"
    )
    parser.add_argument(
        "--install", choices=("yes", "no"), default="no", help="yes: without Docker, install rabbitmq-server if missing"
    )
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
    with _pair(asked) as pair:
        if pair.management_url:
            print(f"management page: {pair.management_url} ({pair.management_login})")
        print("Ctrl-C stops", flush=True)
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
