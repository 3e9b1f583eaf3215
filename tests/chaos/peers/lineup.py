"""The rows of the table: each peer in two forms, and this pair. How each is set up, its own file says."""

from dataclasses import dataclass
from typing import Literal

Form = Literal["first", "hardened", "ours"]
ADAPTERS = "tests.chaos.peers.adapters"


@dataclass(frozen=True)
class Peer:
    """`consume` and `produce` are what follows `python`; {module} is the adapter's name."""

    name: str
    package: str  # of which the version is shown
    module: str
    consume: tuple[str, ...]
    better_at: str
    promise: str  # what its own documents say of messages, where a row needs it
    forms: tuple[Form, ...] = ("first", "hardened")
    produce: tuple[str, ...] = ("-c", "from {module} import produce; produce()")


@dataclass(frozen=True)
class Entry:
    """One row."""

    peer: Peer
    form: Form

    @property
    def key(self) -> str:
        return self.peer.name.lower() if self.form == "ours" else f"{self.peer.name.lower()}-{self.form}"

    @property
    def label(self) -> str:
        return {
            "first": f"{self.peer.name}, first page",
            "hardened": f"{self.peer.name}, hardened",
            "ours": "this project",
        }[self.form]


SCRIPT, SCRIPT_PRODUCE = ("-m", "{module}", "consume"), ("-m", "{module}", "produce")
PEERS = (
    Peer(
        "pika",
        "pika",
        f"{ADAPTERS}.pika_tutorial",
        SCRIPT,
        "twenty lines that everybody understands; all of AMQP 0-9-1",
        "The tutorial's publisher does not ask for confirms: it believes a message sent when it is written. Its "
        "callback runs on the connection's thread, so a long one sends no heartbeats; pika's documents show a thread.",
        produce=SCRIPT_PRODUCE,
    ),
    Peer(
        "aio-pika",
        "aio-pika",
        f"{ADAPTERS}.aio_pika_robust",
        SCRIPT,
        "asyncio; exchanges, bindings and RPC as objects; reconnects and restores what was declared",
        "The README's queue is deleted with its last consumer and its message is transient: an example, not a promise. "
        "Its own heartbeat of 60 s notices a dead connection after about three minutes, longer than a run waits.",
        produce=SCRIPT_PRODUCE,
    ),
    Peer(
        "kombu",
        "kombu",
        f"{ADAPTERS}.kombu_mixin",
        SCRIPT,
        "one API over AMQP, Redis, SQS and others; retries and failover as options of a publish",
        "The example's worker acknowledges a message on which its task raised, after logging it. Confirms and "
        "heartbeats are options.",
        produce=SCRIPT_PRODUCE,
    ),
    Peer(
        "dramatiq",
        "dramatiq",
        f"{ADAPTERS}.dramatiq_app",
        ("-m", "dramatiq", "{module}"),
        "background tasks with priorities, rate limits, results and pipelines; retries by default",
        "Confirms are an option (`confirm_delivery`). A task that raised waits in the delay queue for its next try.",
    ),
    Peer(
        "Celery",
        "celery",
        f"{ADAPTERS}.celery_app",
        ("-m", "celery", "-A", "{module}", "worker", "--loglevel=INFO"),
        "schedules, workflows, results, many brokers, a large ecosystem",
        "By default a task is acknowledged just before it runs and a failed task is not run again: at most once, as "
        "documented. `task_acks_late` and others change that.",
    ),
    Peer(
        "FastStream",
        "faststream",
        f"{ADAPTERS}.faststream_app",
        ("-m", "faststream", "run", "{module}:app"),
        "typed handlers, dependency injection, an AsyncAPI document, tests without a broker; Kafka, NATS and Redis too",
        "By default messages are transient (`persist=False`), and a message on which the function raised is rejected, "
        "which without a dead-letter queue drops it, as documented.",
    ),
    Peer(
        "taskiq",
        "taskiq-aio-pika",
        f"{ADAPTERS}.taskiq_app",
        ("-m", "taskiq", "worker", "{module}:broker"),
        "asynchronous tasks with types, dependency injection and schedules; quorum queues and confirms by default",
        "A task that raised is acknowledged. Retries are a middleware: after its number of tries the message is gone.",
    ),
)
OURS = Peer(
    "ours",
    "",
    f"{ADAPTERS}.ours",
    SCRIPT,
    "one queue, at least once",
    "At least once. A message on which the handler raised waits in a retry queue, then in the dead-letter queue.",
    ("ours",),
    SCRIPT_PRODUCE,
)
ENTRIES = tuple(Entry(peer, form) for peer in (OURS, *PEERS) for form in peer.forms)
