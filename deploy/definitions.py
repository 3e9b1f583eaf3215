"""What the broker of production imports: the virtual host, a user for each service, and the queues. Pure."""

import hashlib
import re
import secrets
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from common.amqp.topology import Topology

VHOST = "pair"
NOTHING = "^$"


@dataclass(frozen=True, slots=True)
class User:
    """A RabbitMQ user; the three are regular expressions of the names it may configure, write to and read from."""

    name: str
    configure: str
    write: str
    read: str
    tags: tuple[str, ...] = ()


def _any_of(*expressions: str) -> str:
    return f"^({'|'.join(expressions)})$" if expressions[1:] else f"^{expressions[0]}$"


def users(topology: Topology, *others: Topology) -> list[User]:
    """Who logs in, with the least rights that work; `others` are of more consumers, whose user is the first one's."""

    # Publishing through the default exchange is writing to `amq.default`. Looking whether a queue is there takes some
    # right on it (from 4.3.1 on), and writing to a queue is the one that allows nothing by itself.
    def publish(*to: Topology) -> str:
        return _any_of(r"amq\.default", *(re.escape(queue.name) for each in to for queue in each.queues))

    served = (topology, *others)
    # What `consumer verify` makes, uses and deletes; not imported from there, since it can be left out.
    temporary = [rf"{re.escape(each.name)}\.verify\.[0-9a-f]+" for each in served]
    # `consumer dead-letters` reads what the consumer has parked.
    read = _any_of(*(re.escape(name) for each in served for name in (each.name, each.dead)), *temporary)
    return [
        User("producer", NOTHING, publish(topology), NOTHING),
        User("consumer", _any_of(*temporary), publish(*served), read),
        User("autoscaler", NOTHING, NOTHING, NOTHING, ("management",)),
        User("operator", ".*", ".*", ".*", ("administrator",)),
    ]


def password_hash(password: str) -> str:
    """As RabbitMQ keeps it: a salt of four bytes, then SHA-256 of salt and password; base64."""
    salt = secrets.token_bytes(4)
    return b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def definitions(passwords: dict[str, str], *topologies: Topology) -> dict[str, Any]:
    """What the broker imports: the virtual host, users, permissions, queues."""
    everyone = users(*topologies)
    return {
        "vhosts": [{"name": VHOST}],
        "users": [
            {
                "name": user.name,
                "password_hash": password_hash(passwords[user.name]),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": list(user.tags),
            }
            for user in everyone
        ],
        "permissions": [
            {"user": user.name, "vhost": VHOST, "configure": user.configure, "write": user.write, "read": user.read}
            for user in everyone
        ],
        "queues": [
            {
                "name": queue.name,
                "vhost": VHOST,
                "durable": True,
                "auto_delete": False,
                "arguments": queue.all_arguments,
            }
            for queue in {queue.name: queue for each in topologies for queue in each.queues}.values()
        ],
    }
