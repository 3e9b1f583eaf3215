"""Every fault, in the order of the table."""

from tests.chaos.faults import access, bodies, broker, cluster, forwarding, handler, network, outbox, process, queue
from tests.chaos.promise import PROMISES, Promise

_ROOMS = (broker, queue, network, access, process, outbox, handler, forwarding, bodies, cluster)
_ORDER = [module.__name__ for module in _ROOMS]


def promises(*, short: bool = False) -> list[Promise]:
    """All promises, or those of the short form."""
    chosen = [each for each in PROMISES if each.short or not short]
    return sorted(chosen, key=lambda each: _ORDER.index(each.fault.__module__))
