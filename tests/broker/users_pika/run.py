"""All cases by themselves (`run`), in a handler (`handle`) or in a source (`read`).

They use the broker of MQ_URL and queues named from MQ_CH. What each found goes to the file RECORD, as JSON. Names of
queues and of consumers, which differ between runs, are replaced.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from pika import BlockingConnection, URLParameters

from tests.broker.users_pika import messages, values
from tests.broker.users_pika.shown import kind


def run() -> None:
    """All cases, each on a connection and a queue of its own."""
    found = {}
    for each in messages.CASES + values.CASES:
        connection = BlockingConnection(URLParameters(os.environ["MQ_URL"]))
        try:
            channel = connection.channel()
            queue = f"{os.environ['MQ_CH']}.{each.__name__}"
            channel.queue_declare(queue, durable=True)
            found[each.__name__] = each(channel, queue)
        except Exception as error:  # noqa: BLE001 - the test shows it
            found[each.__name__] = {"raised": f"{kind(error)}: {error}"}
        finally:
            if connection.is_open:
                connection.close()
    text = json.dumps(found).replace(os.environ["MQ_CH"], "MQ_CH")
    whole = Path(os.environ["RECORD"])
    part = whole.with_suffix(".part")
    part.write_text(re.sub(r"ctag\d+\.[0-9a-f]{32}", "CTAG", text))
    part.rename(whole)


def handle(_message: object) -> None:
    """All cases in a handler."""
    run()


def read() -> Iterator[bytes]:
    """All cases in a source that has no message."""
    run()
    return iter(())
