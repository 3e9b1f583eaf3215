"""Our pair, as its README has it, with all defaults: the producer with its HTTP source (docs/http.md), one consumer.

The program that publishes posts each message, believes it sent when the answer is 202, and otherwise posts it again
with the same key, as docs/http.md says. It lives in the producer's process, and dies with it.
"""

import http.client
import os
import signal
import sys
import threading
import time
from functools import partial

from common.message import Message
from local.ports import free_port
from tests.chaos.peers import contract

TIMEOUT = 60.0  # seconds, of a request


def handle(message: Message) -> None:
    """CONSUMER_HANDLER."""
    contract.handle(message.body)


def post_all(port: int) -> None:
    """Post every message, then let the producer end."""

    def post(key: str, body: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        try:
            connection.request("POST", "/messages", body.encode(), {"Idempotency-Key": key})
            status = connection.getresponse().status
            if status != http.client.ACCEPTED:
                raise OSError(f"HTTP status {status}")
        finally:
            connection.close()

    for name, body in contract.bodies():
        contract.until_sent(partial(post, f"{time.time_ns()}-{name}", body))
        contract.sender()(name)
    os.kill(os.getpid(), signal.SIGTERM)


def main(role: str) -> None:
    """Run one of the two services; its settings are from the environment."""
    port = free_port()
    os.environ |= {"MQ_URL": contract.url(), "MQ_CH": "jobs", "HTTP_PORT": str(free_port())}
    sys.argv = [role]
    if role == "consume":
        from consumer.__main__ import main as consumer

        os.environ["CONSUMER_HANDLER"] = "tests.chaos.peers.adapters.ours:handle"
        consumer()
    else:
        from producer.__main__ import main as producer

        os.environ |= {"PRODUCER_SOURCE": "http", "PRODUCER_HTTP_PORT": str(port)}
        threading.Thread(target=post_all, args=(port,), name="client", daemon=True).start()
        producer()


if __name__ == "__main__":
    main(sys.argv[1])
