"""What a trial asks of its broker, few questions for all its contestants: each `rabbitmqctl` starts an Erlang VM."""

import re
import secrets
from collections.abc import Iterable, Sequence
from typing import Protocol

from tests.chaos.cluster import Cluster
from tests.chaos.rabbit import Rabbit

HEARTBEAT = 10  # seconds, what the broker proposes: 60 would make the runs long
_PAIR = re.compile(r'\{<<"([^"]+)">>,\s*<<"([^"]+)">>\}')
_ADD = """
V = <<"{name}">>, rabbit_vhost:add(V, <<"chaos">>),
rabbit_auth_backend_internal:add_user(V, <<"{password}">>, <<"chaos">>),
rabbit_auth_backend_internal:set_permissions(V, V, <<".*">>, <<".*">>, <<".*">>, <<"chaos">>)"""
_DELETE = """
rabbit_vhost:delete(<<"{name}">>, <<"chaos">>),
rabbit_auth_backend_internal:delete_user(<<"{name}">>, <<"chaos">>)"""
_FULL = """
rabbit_policy:set(<<"{name}">>, <<"full">>, <<"^(?!.*(dead|[.]DQ|[.]XQ|retry|celeryev|pidbox)).*$">>,
[{{<<"max-length">>, {length}}}, {{<<"overflow">>, <<"reject-publish">>}}], 0, <<"queues">>, <<"chaos">>)"""
_NOT_FULL = """rabbit_policy:delete(<<"{name}">>, <<"full">>, <<"chaos">>)"""
_QUEUES = """[{{V, element(4, amqqueue:get_name(Q))}} || V <- [{names}], Q <- rabbit_amqqueue:list(V)]"""


class Node(Protocol):
    """What a single node and a cluster have in common."""

    def ports(self) -> list[int]: ...

    def rabbitmqctl(self, *args: str) -> str: ...


class Home:
    """A virtual host, and a user of the same name who may do everything there."""

    def __init__(self) -> None:
        self.name, self.password = f"peers-{secrets.token_hex(4)}", secrets.token_hex(8)

    def url(self, port: int) -> str:
        return f"amqp://{self.name}:{self.password}@127.0.0.1:{port}/{self.name}"


def add(broker: Node, homes: Sequence[Home]) -> None:
    """Make them, and propose HEARTBEAT to whoever connects from now on."""
    heartbeat = f"application:set_env(rabbit, heartbeat, {HEARTBEAT})"
    _each(broker, [heartbeat, *(_fun(_ADD.format(name=home.name, password=home.password)) for home in homes)])


def delete(broker: Node, homes: Sequence[Home]) -> None:
    """With all their queues."""
    _each(broker, [_DELETE.format(name=home.name) for home in homes])


def fill(broker: Node, homes: Iterable[Home], length: int) -> None:
    """Refuse publishes to queues with so many ready messages; not to those for dead letters and later tries."""
    _each(broker, [_FULL.format(name=home.name, length=length) for home in homes])


def clear(broker: Node, homes: Iterable[Home]) -> None:
    """Undo `fill`."""
    _each(broker, [_NOT_FULL.format(name=home.name) for home in homes])


def queues(broker: Node, homes: Sequence[Home]) -> dict[str, list[str]]:
    """The names of all queues, by virtual host."""
    names = ", ".join(f'<<"{home.name}">>' for home in homes)
    found: dict[str, list[str]] = {home.name: [] for home in homes}
    for vhost, queue in _PAIR.findall(broker.rabbitmqctl("eval", _QUEUES.format(names=names) + ".")):
        found[vhost].append(queue)
    return found


def _fun(expression: str) -> str:
    """In a scope of its own."""
    return f"(fun() -> {expression.strip()} end)()"


def _each(broker: Node, expressions: Iterable[str]) -> None:
    broker.rabbitmqctl("eval", ", ".join(each.strip() for each in expressions) + ", ok.")


def version(broker: "Rabbit | Cluster") -> str:
    """Of RabbitMQ."""
    return f"RabbitMQ {broker.rabbitmqctl('version').strip()}"
