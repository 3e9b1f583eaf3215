"""Children that the user's code forks: each in a process of its own, which forks it."""

import signal
import socket
import subprocess
import sys

import pytest

from common.process import fork
from tests.processes import ROOT

FORKED = """
import os, signal, socket, sys
from common.process import fork
from common.process.run import Process
{before}
pid = os.fork()
if not pid:
    {child}
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def forked(child: str, before: str = "fork.serving(True)") -> tuple[str, str]:
    """What the parent prints at the end, which is the child's exit code, and all of standard error."""
    code = FORKED.format(before=before, child=child)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        ("None", "0", ""),
        ("ValueError('in the child')", "1", "ValueError: in the child\n"),
        ("SystemExit()", "0", ""),
        ("SystemExit(3)", "3", ""),
        ("SystemExit('why')", "1", "why\n"),
        ("KeyboardInterrupt()", "1", "KeyboardInterrupt\n"),
    ],
)
def test_a_child_ends_as_a_program_does(error: str, code: str, said: str) -> None:
    """With its exit code, and what it printed."""
    assert forked(f"print('printed'); fork.end_child({error})") == (f"printed\n{code}\n", said)


def test_a_child_whose_output_nobody_reads_ends_all_the_same() -> None:
    assert forked("sys.stdout = None; fork.end_child(ValueError())")[0] == "1\n"


@pytest.mark.parametrize("number", fork.SIGNALS)
def test_a_child_dies_of_the_signals_that_the_service_handles(number: signal.Signals) -> None:
    """A pool ends its children by SIGTERM, and waits for them."""
    hear = "process = Process(20.0); process.hear_signals(); signal.signal(signal.SIGALRM, print); fork.serving(True)"
    assert forked(f"os.kill(os.getpid(), {int(number)}); os._exit(5)", hear) == (f"{-number}\n", "")


SOCKETS = "kept, left = socket.socket(), socket.socket(); fork.sockets.add(kept.fileno()); fork.serving(True)"
IS_SOCKET = "[os.path.realpath(f'/proc/self/fd/{each.fileno()}') for each in (kept, left)]"


def test_a_child_has_not_the_sockets_of_the_service() -> None:
    """Or the port would be taken at the next start. It has what the user's code opened."""
    text, _ = forked(f"nothing, own = {IS_SOCKET}; os._exit(nothing == '/dev/null' and 'socket' in own)", SOCKETS)
    assert text == "1\n"


def test_a_parent_keeps_all_its_sockets() -> None:
    text, _ = forked("os._exit(0)", SOCKETS)
    assert text == "0\n"
    text, _ = forked("os._exit(0)", f"{SOCKETS}; fork.sockets.discard(left.fileno()); print(len(fork.sockets))")
    assert text == "1\n0\n"


@pytest.mark.parametrize("before", ["pass", "fork.serving(True); fork.serving(False)"])
def test_a_child_of_a_program_that_runs_no_service_is_left_alone(before: str) -> None:
    """Such as a test of the user's that imports us."""
    keeps = "signal.signal(signal.SIGTERM, lambda *_: os._exit(7))"
    assert forked("os.kill(os.getpid(), 15); os._exit(5)", f"{before}; {keeps}") == ("7\n", "")


def test_what_the_loop_watches_is_no_childs(process: object) -> None:
    """All connections to the broker."""
    here, there = socket.socketpair()
    loop = process.loop  # type: ignore[attr-defined]
    loop.add_handler(here.fileno(), lambda *_: None, loop.READ)
    assert here.fileno() in fork.sockets
    loop.remove_handler(here.fileno())
    assert here.fileno() not in fork.sockets
    here.close()
    there.close()
