"""Tests that share something run one after the other, and the end says what did not run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.groups import ORDER, group_of
from tests.processes import ROOT

MODULE = """
import time, pytest

@pytest.mark.parametrize("what", [f"container-{number}" for number in range(6)])
def test_shared(what): time.sleep(0.2)

@pytest.mark.parametrize("what", range(6))
def test_alone(what): time.sleep(0.2)
"""


def test_what_shares_a_broker_or_a_cluster_has_a_group(request: pytest.FixtureRequest) -> None:
    """Of all tests of this run: what their names say is what they are."""
    for item in request.session.items:
        callspec = getattr(item, "callspec", None)
        parameters = callspec.params if callspec else {}
        group = group_of(item.nodeid)
        assert group.partition("-")[0] in ORDER
        if "broker" in parameters:
            assert group.partition("-")[0] in {"system", parameters["broker"]}, item.nodeid
        if "broker" in parameters or "promise" in parameters:
            assert group.endswith("-pika") == (parameters.get("wire") == "pika" and group != "system"), item.nodeid
        if "promise" in parameters or item.get_closest_marker("docker") or item.get_closest_marker("cluster"):
            assert group, item.nodeid


def test_a_group_is_run_by_one_worker_in_order(tmp_path: Path) -> None:
    """And the others by any."""
    (tmp_path / "tests" / "broker").mkdir(parents=True)
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_xdist_make_scheduler\n")
    (tmp_path / "tests" / "broker" / "test_run.py").write_text(MODULE)
    words = ["-n", "3", "--dist", "loadscope", "-v", "--rootdir", str(tmp_path), "-c", "/dev/null", "tests"]
    command = [sys.executable, "-m", "pytest", *words, "--import-mode=importlib"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    ran = re.findall(r"\[(gw\d)\].* PASSED tests/broker/test_run.py::(\S+)", done.stdout)
    assert len(ran) == 12, done.stdout + done.stderr
    assert len({worker for worker, name in ran if "container" in name}) == 1
    assert len({worker for worker, _ in ran}) == 3
    assert [name for _, name in ran if "container" in name] == [
        f"test_shared[container-{number}]" for number in range(6)
    ]


def test_the_end_counts_what_did_not_run_and_says_why() -> None:
    """Though a worker ran the tests."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "tests/deploy/test_production.py"]
    env = {key: value for key, value in os.environ.items() if key not in {"CI", "CLUSTER_CONTEXT"}}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert "\nran 0 tests; not run here: 6 (no cluster was named: `make test-cluster" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("6 skipped in ")
