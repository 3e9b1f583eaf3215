"""What an administrator does to a broker, over its management page."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from tests.brokers import Broker


def put(broker: Broker, path: str, value: Any = None, method: str = "PUT") -> None:
    """Send `value` as JSON to the management page's `path`."""
    assert broker.management_url, "the broker has no management plugin"
    body = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(f"{broker.management_url}api/{path}", body, method=method)
    request.add_header("Authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=10):
        pass


def set_user(broker: Broker, name: str, password: str) -> None:
    """Make the user, or change the password."""
    put(broker, f"users/{name}", {"password": password, "tags": ""})


def permit(broker: Broker, name: str, *, configure: str = ".*", write: str = ".*", read: str = ".*") -> None:
    """Give the user permissions."""
    put(broker, f"permissions/%2F/{name}", {"configure": configure, "write": write, "read": read})


def remove_user(broker: Broker, name: str) -> None:
    """Take the user away."""
    put(broker, f"users/{name}", method="DELETE")


@contextmanager
def add_user(broker: Broker, name: str) -> Iterator[str]:
    """Another user, who may do all, and is gone afterwards; its password is `pass`. The broker's address."""
    set_user(broker, name, "pass")
    permit(broker, name)
    try:
        yield broker.url.rpartition("@")[2]
    finally:
        remove_user(broker, name)


@contextmanager
def policy(broker: Broker, queue: str, definition: dict[str, Any]) -> Iterator[None]:
    """A policy for one queue, gone afterwards."""
    path = f"policies/%2F/{quote(queue)}"
    put(broker, path, {"pattern": f"^{queue}$", "definition": definition, "apply-to": "queues"})
    try:
        yield
    finally:
        put(broker, path, method="DELETE")
