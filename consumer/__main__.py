"""`python -m consumer`: the only wiring of the consumer. It imports inside main(), while a signal ends it at once."""

import importlib
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from common.process.exit import loading

COMMANDS = {"dead-letters": "consumer.dead_letters.commands", "verify": "consumer.verify.command"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until a signal comes, nothing comes any more (CONSUMER_IDLE_EXIT), or a defect. Main thread only."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        module = COMMANDS[words[0]]
        with loading():
            package = module.rpartition(".")[0]
            if not find_spec(package):
                from common.settings import flags

                flags.fail([f"{words[0]} needs the package {package}, which this installation does not have"])
            command = importlib.import_module(module)
        command.main(words[1:])
        return
    with loading():
        from common.observe import logs
        from common.observe.trace_context import no_spans_if_missing, spans_wanted
        from common.plugins import ConfigError
        from common.process.run import Process, serve
        from common.settings import flags
        from consumer.handler import open_handler
        from consumer.service import ConsumerService
        from consumer.settings import ConsumerSettings

    settings = flags.load(ConsumerSettings, "consumer", arguments)
    logs.configure(settings.log_level, settings.log_format)
    try:
        handle = open_handler(settings)
    except ConfigError as error:
        flags.fail([f"CONSUMER_HANDLER: {error}"])
    endpoint = settings.otel_exporter_otlp_endpoint
    if spans_wanted(endpoint):
        with no_spans_if_missing():
            from common.observe import tracing
            from consumer.tracing import traced

            handle = traced(handle, settings.mq_ch) if tracing.set_up(endpoint, "consumer") else handle
    process = Process(settings.shutdown_grace)
    sys.exit(serve(process, ConsumerService(process, settings, handle), settings))


if __name__ == "__main__":
    main()
