"""The command line of `consumer verify`."""

import json
import sys
import time
from collections.abc import Sequence

from common.observe import logs
from common.process.run import Process
from common.settings import flags as cli
from common.settings.types import format_duration
from consumer.progress import Progress
from consumer.verify import report
from consumer.verify.settings import VerifySettings
from consumer.verify.topology import EXPIRES_MS
from consumer.verify.trial import Trial


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit 0 (nothing is lost), 1, or 2 (settings)."""
    settings = cli.load(VerifySettings, "consumer verify", arguments)
    moving, line = logs.Stream().isatty(), Progress(logs.Stream())
    # Where a line moves, it says what a log would.
    level = "debug" if settings.log_level == "debug" else "error" if moving else "warning"
    logs.configure(level, settings.log_format)

    def show() -> None:
        if moving:
            text = report.progress(trial.ledger, settings.verify_count, trial.reasons())
            line.tick(time.monotonic(), text, trial.ledger.handled / settings.verify_count)

    process = Process(settings.shutdown_grace)
    trial = Trial(process, settings, show)
    code = process.run(trial)
    line.end()
    queue, left = trial.topology.name, bool(trial.ledger.attempted) and not trial.deleted
    if settings.verify_json:
        about = {"broker": trial.broker, "queue": queue, "queue_deleted": trial.deleted, "problem": trial.problem}
        cli.say(json.dumps({**about, **report.as_object(trial.ledger), "exit_code": code}, indent=2))
        sys.exit(code)
    cli.say(f"{settings.verify_count:,} messages of {settings.verify_size:,} bytes through {queue} on {trial.broker}")
    for row in report.rows(trial.ledger, cli.utf8()):
        cli.say(row)
    if left:
        expires = format_duration(EXPIRES_MS / 1000)
        cli.say(f"the queue {queue} could not be deleted: the broker does that in {expires} by itself")
    cli.say(f"NOT verified: {trial.problem}" if code else "verified: nothing is lost")
    sys.exit(code)
