"""A promise: what holds, and the fault that tries to break it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.chaos.scene import Scene

Fault = Callable[[Scene], None]
PROMISES: list["Promise"] = []


def no_one(_name: str) -> bool:
    """No message is parked."""
    return False


@dataclass(frozen=True)
class Promise:
    """`fault` breaks something, holds, mends it, and returns; afterwards every message must be accounted for."""

    name: str
    fault: Fault
    settings: Mapping[str, str] = field(default_factory=dict)
    cold: bool = False  # the fault is there before the services, and starts them
    proxied: bool = False  # the services go through the scene's proxy
    short: bool = False  # belongs to the short form
    mix: bool = False  # may be one of many in a random mix
    broker: Literal["any", "container", "cluster"] = "any"  # what it can be shown on
    parked: Callable[[str], bool] = no_one  # which messages must end in the dead-letter queue


def promise(name: str, **options: Any) -> Callable[[Fault], Fault]:
    """Register a fault under the name of its promise; `options` are Promise's."""

    def register(fault: Fault) -> Fault:
        PROMISES.append(Promise(name, fault, **options))
        return fault

    return register
