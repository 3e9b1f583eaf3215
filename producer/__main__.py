"""`python -m producer`: the only wiring of the producer."""

import sys
from collections.abc import Sequence

from common import cli, logs
from common.process import Process
from common.program import serve
from common.seam import SeamError
from producer.checkpoint import open_checkpoint
from producer.service import ProducerService
from producer.settings import ProducerSettings
from producer.source import open_source


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until the source ends, a signal comes, or a defect."""
    settings = cli.load(ProducerSettings, "producer", arguments)
    logs.configure(settings.log_level, settings.log_format)
    try:
        checkpoint = open_checkpoint(settings.producer_checkpoint)
    except SeamError as error:
        cli.fail([f"PRODUCER_CHECKPOINT: {error}"])
    try:
        source = open_source(settings, checkpoint.position if checkpoint else 0)
    except SeamError as error:
        cli.fail([f"PRODUCER_SOURCE: {error}"])
    process = Process(settings.shutdown_grace)
    followers, name = ([checkpoint], checkpoint.name) if checkpoint else ([], None)
    sys.exit(serve(process, ProducerService(process, settings, source, followers, name=name), settings))


if __name__ == "__main__":
    main()
