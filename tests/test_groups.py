"""Tests that share something run one after the other, and the end says what did not run."""

import os
import subprocess
import sys

import pytest

from tests.groups import ORDER, group_of
from tests.processes import ROOT


def test_what_shares_a_broker_or_a_cluster_is_run_by_one_worker(request: pytest.FixtureRequest) -> None:
    """Of all tests of this run: each has the mark that the workers are told by."""
    for item in request.session.items:
        callspec = getattr(item, "callspec", None)
        shared = [*filter(item.get_closest_marker, ("cluster", "docker"))] or {"broker", "promise"} & {
            *(callspec.params if callspec else {})
        }
        mark = item.get_closest_marker("xdist_group")
        assert bool(shared) <= bool(mark), item.nodeid
        assert (mark.args[0] if mark else "") == group_of(item)
        assert group_of(item).partition("-")[0] in ORDER


def test_the_end_counts_what_did_not_run_and_says_why() -> None:
    """Though a worker ran the tests."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "tests/deploy/test_production.py"]
    env = {key: value for key, value in os.environ.items() if key not in {"CI", "CLUSTER_CONTEXT"}}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert "\nran 0 tests; not run here: 6 (no cluster was named: `make test-cluster" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("6 skipped in ")
