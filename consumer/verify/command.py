"""The command line of `consumer verify`."""

import json
import sys
import time
from collections.abc import Sequence

from common.observe import logs
from common.observe.stream import STDERR
from common.process.run import Process
from common.settings import flags as cli
from common.settings.types import format_duration
from common.terminal import rewrites
from consumer.progress import Progress
from consumer.verify import results
from consumer.verify.settings import EXPIRES_MS, VerifySettings
from consumer.verify.trial import Trial


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit 0 (nothing is lost), 1, or 2 (settings)."""
    settings = cli.load(VerifySettings, "consumer verify", arguments)
    moving, line = rewrites(STDERR), Progress(STDERR)
    # On a terminal the moving line says what the log would.
    level = "debug" if settings.log_level == "debug" else "error" if moving else "warning"
    logs.configure(level, settings.log_format)

    def show() -> None:
        if moving:
            text = results.progress(trial.results, settings.verify_count, trial.reasons())
            line.tick(time.monotonic(), text, len(trial.results.handled) / settings.verify_count)

    process = Process(settings.shutdown_grace)
    trial = Trial(process, settings, show)
    code = process.run(trial)
    line.end()
    queue, broker = trial.topology.name, trial.broker
    if settings.verify_json:
        about = {"broker": broker, "queue": queue, "queue_deleted": trial.deleted, "problem": trial.problem}
        cli.say(json.dumps({**about, **results.as_object(trial.results), "exit_code": code}, indent=2))
        sys.exit(code)
    lines = [f"{settings.verify_count:,} messages of {settings.verify_size:,} bytes through {queue} on {broker}"]
    lines += results.rows(trial.results, cli.utf8())
    if trial.results.sent_at and not trial.deleted:
        expires = format_duration(EXPIRES_MS / 1000)
        lines.append(f"the queue {queue} could not be deleted: the broker does that in {expires} by itself")
    cli.say("\n".join([*lines, f"NOT verified: {trial.problem}" if code else "verified: nothing is lost"]))
    sys.exit(code)
