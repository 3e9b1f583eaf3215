"""Celery, as "First Steps with Celery" has it.

Reference: https://docs.celeryq.dev/en/stable/getting-started/first-steps-with-celery.html. It acknowledges just
before a task runs, which its documentation says, so that a task never runs twice. Hardened as of
https://docs.celeryq.dev/en/stable/userguide/configuration.html: `task_acks_late`, `task_reject_on_worker_lost`,
`task_acks_on_failure_or_timeout=False` with a dead-letter queue, `confirm_publish`, quorum queues, one task of
prefetch for each process, `broker_heartbeat`.
"""

from typing import Any

from celery import Celery
from kombu import Queue

from tests.chaos.peers import contract

QUORUM: dict[str, Any] = {"x-queue-type": "quorum"}
DEAD_LETTERS = QUORUM | {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": contract.DEAD}

app = Celery("tasks", broker=contract.url())
if contract.hardened():
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=False,
        worker_prefetch_multiplier=1,
        broker_heartbeat=contract.HEARTBEAT,
        broker_transport_options={"confirm_publish": True},
        task_default_queue_type="quorum",
        task_queues=[Queue("celery", routing_key="celery", queue_arguments=DEAD_LETTERS)],
        broker_connection_max_retries=None,
    )


@app.task
def work(body: str) -> None:
    """One message."""
    contract.handle(body)


def produce() -> None:
    if contract.hardened():
        with app.connection_for_write() as connection:
            Queue(contract.DEAD, queue_arguments=QUORUM, channel=connection.default_channel).declare()
    for name, body in contract.bodies():
        contract.until_sent(lambda body=body: work.delay(body))
        contract.sender()(name)
