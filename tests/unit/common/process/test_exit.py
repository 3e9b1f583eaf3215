"""The last resort: each in a program of its own."""

import subprocess
import sys
import time

import pytest

from tests.processes import ROOT

HANGS = {
    "a thread that Python waits for": "threading.Thread(target=time.sleep, args=(60,)).start()",
    "a lock that nobody releases": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "a pipe that nobody reads": "[os.write(pipe, bytes(65536)) for pipe in [os.pipe()[1]] for _ in range(9)]",
}


@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
def test_it_ends_whatever_hangs_and_says_why(hang: str) -> None:
    """Even when the standard error is a pipe that is full, where it cannot say anything."""
    code = f"import os, threading, time; from common.process.exit import leave_in; leave_in(0.5, 'a test'); {hang}"
    began = time.monotonic()
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("a test: leaving at once")
    fill = "import os; os.set_blocking(2, False); [os.write(2, b'x') for _ in range(65536)]; os.set_blocking(2, True)"
    command[-1] = f"{fill}; {code}"
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        assert process.wait(30) == 1
    assert time.monotonic() - began < 20


def test_what_is_called_off_does_not_end_it() -> None:
    """Nor is a process ended that was quicker."""
    code = "import time; from common.process.exit import leave_in; leave_in(0.2, 'x'); leave_in(0, ''); time.sleep(0.5)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
