"""A channel of the test's own, as `tests/broker` has it."""

from tests.broker.conftest import channel  # noqa: F401 - the same fixture here
