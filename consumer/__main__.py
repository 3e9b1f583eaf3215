"""`python -m consumer`: the only wiring of the consumer."""

import importlib
import sys
from collections.abc import Sequence

import common.startup
from common.observe import logs, tracing
from common.plugins import SeamError
from common.process.program import serve
from common.process.run import Process
from common.settings import flags as cli
from consumer.handler import open_handler
from consumer.service import ConsumerService
from consumer.settings import ConsumerSettings

common.startup.loaded()

# Imported when asked for: a service that starts has no use for them.
COMMANDS = {"dead-letters": "consumer.dead_letters.commands", "verify": "consumer.verify.command"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until a signal comes, nothing comes any more (CONSUMER_IDLE_EXIT), or a defect."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        importlib.import_module(COMMANDS[words[0]]).main(words[1:])
        return
    settings = cli.load(ConsumerSettings, "consumer", arguments)
    logs.configure(settings.log_level, settings.log_format)
    try:
        handle = open_handler(settings)
    except SeamError as error:
        cli.fail([f"CONSUMER_HANDLER: {error}"])
    if tracing.wanted(settings, "consumer"):
        from consumer.tracing import traced  # noqa: PLC0415 - loads OpenTelemetry

        handle = traced(handle, settings.mq_ch)
    process = Process(settings.shutdown_grace)
    sys.exit(serve(process, ConsumerService(process, settings, handle), settings))


if __name__ == "__main__":
    main()
