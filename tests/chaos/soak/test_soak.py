"""Two minutes of the soak: nothing is lost and nothing grows while connections and processes come and go."""

from pathlib import Path

import pytest

from local import Failure
from tests.brokers import kinds_here
from tests.chaos.rabbit import BROKERS
from tests.chaos.soak.figures import flat
from tests.chaos.soak.soak import soak


@pytest.mark.docker
@pytest.mark.slow
def test_both_services_stay_as_they_are_while_a_connection_is_lost_twice_a_second(tmp_path: Path) -> None:
    try:
        with BROKERS[kinds_here()[0]]() as rabbit:
            done = soak(rabbit, tmp_path, 120, wire="direct", tell=print)
    except Failure as missing:
        pytest.fail(str(missing), pytrace=False)
    assert [*done.complaints, *flat(done)] == []
    assert done.messages > 10_000
    assert done.resets > 100
