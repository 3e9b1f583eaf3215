"""An I/O loop and a peer, as `tests/unit` has them."""

from tests.unit.conftest import own_metrics, peer, process  # noqa: F401 - the same fixtures here
