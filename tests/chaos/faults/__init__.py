"""Every fault, in the order of the table."""

from tests.chaos.faults import access, bodies, broker, cluster, handler, network, outbox, process, queue
from tests.chaos.promise import PROMISES, Promise

_ORDER = [module.__name__ for module in (broker, queue, network, access, process, outbox, handler, bodies, cluster)]


def promises(*, short: bool = False) -> list[Promise]:
    """All promises, or those of the short form."""
    chosen = [each for each in PROMISES if each.short or not short]
    return sorted(chosen, key=lambda each: _ORDER.index(each.fault.__module__))
