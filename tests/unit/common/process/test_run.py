"""The loop, the signals, the deadline and the exit code: each in a program of its own."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.process.run import NEWS, STANDSTILL, TOGETHER, Process
from tests.unit.conftest import Loop

ROOT = Path(__file__).parents[3]
PATIENCE = 20.0  # seconds
PROGRAM = """
import os, sys, time
from common.observe import logs
from common.process.run import Process

class Stub:
    settled, left, fail = {settled}, {left}, {fail!r}
    stopped = False
    def start(self): self.at("start")
    def tick(self, now): self.at("tick")
    def stop(self): self.stopped = True; self.at("stop")
    def done(self): return self.stopped and self.settled or {done}
    def close(self): self.at("close")
    def closed(self): return {closed}
    def problems(self): return []
    reasons = problems
    def summary(self): self.fail == "hang in summary" and time.sleep(60); return self.left, {{"handled": 3}}
    said = set()
    def at(self, what):
        if self.fail == "hang in " + what:
            time.sleep(60)
        if self.fail == what:
            raise RuntimeError("a defect in " + what)
        if what not in self.said:
            self.said.add(what)
            os.write(1, what.encode() + b"\\n")

logs.configure("info", "json")
sys.exit(Process({grace}).run(Stub()))
"""


class Program:
    """A process around a service with given answers."""

    def __init__(
        self,
        *,
        settled: bool = True,
        left: int = 0,
        done: bool = False,
        closed: bool = True,
        grace: float = 30,
        fail: str = "",
    ) -> None:
        text = PROGRAM.format(settled=settled, left=left, done=done, closed=closed, grace=grace, fail=fail)
        self.process = subprocess.Popen(
            [sys.executable, "-c", text], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def wait_for(self, what: str) -> None:
        """Read on until it says so."""
        assert self.process.stdout
        while (line := self.process.stdout.readline().decode().strip()) != what:
            assert line, f"ended before {what}"

    def end(self) -> tuple[int, str, str]:
        """Exit code, the rest of standard output, standard error."""
        try:
            out, err = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode, out.decode(), err.decode()


def test_one_signal_stops_settles_and_closes() -> None:
    """In this order, with exit code 0 and the totals as the last line; by either signal."""
    programs = {number: Program() for number in (signal.SIGTERM, signal.SIGINT)}
    for number, program in programs.items():
        program.wait_for("tick")
        program.process.send_signal(number)
    for program in programs.values():
        code, out, err = program.end()
        assert code == 0
        assert out.split() == ["stop", "close"]
        assert '"event": "stopping"' in err
        last = err.splitlines()[-1]
        assert '"event": "stopped"' in last
        assert '"handled": 3' in last
        assert "Traceback" not in err


def test_a_source_at_its_end_stops_the_process_by_itself() -> None:
    """Without a signal; what is left over is exit code 1."""
    programs = Program(done=True), Program(done=True, left=2)
    for program, left in zip(programs, (0, 2), strict=True):
        code, out, err = program.end()
        assert code == (1 if left else 0)
        assert f'"left": {left}' in err
        assert out.split() == ["start", "tick", "close"]


def test_a_stop_that_takes_longer_says_what_is_left() -> None:
    """Somebody sits before the terminal, and has pressed Ctrl-C."""
    program = Program(settled=False, left=2, grace=NEWS + 2)
    program.wait_for("tick")
    program.process.send_signal(signal.SIGINT)
    code, _, err = program.end()
    told = [line for line in map(json.loads, err.splitlines()) if line["event"] == "still stopping"]
    assert [(line["handled"], line["left"], line["grace"]) for line in told] == [(3, 2, 2)]
    assert code == 1


def test_after_the_grace_it_leaves_though_nothing_is_settled() -> None:
    """It has a deadline."""
    began = time.monotonic()
    program = Program(settled=False, left=1, grace=0.3)
    program.wait_for("tick")
    program.process.send_signal(signal.SIGTERM)
    assert program.end()[0] == 1
    assert time.monotonic() - began < 10


def test_a_broker_that_does_not_answer_the_closing_is_not_waited_for() -> None:
    """Only a moment."""
    began = time.monotonic()
    assert Program(done=True, closed=False).end()[0] == 0
    assert time.monotonic() - began < 10


def test_a_second_signal_leaves_at_once() -> None:
    """With exit code 1 and a word about what that means."""
    program = Program(settled=False)
    program.wait_for("tick")
    program.process.send_signal(signal.SIGTERM)
    program.wait_for("stop")
    time.sleep(TOGETHER)
    program.process.send_signal(signal.SIGINT)
    code, _, err = program.end()
    assert code == 1
    assert "second signal" in err
    assert "Traceback" not in err


def test_two_signals_at_once_are_one() -> None:
    """`timeout` sends its signal to the process and to its group, as other wrappers do."""
    program = Program()
    program.wait_for("tick")
    program.process.send_signal(signal.SIGTERM)
    time.sleep(0.01)
    program.process.send_signal(signal.SIGTERM)
    assert program.end()[0] == 0


def test_a_loop_that_hangs_does_not_outlive_the_grace() -> None:
    """Whatever it hangs in: its log in a pipe that nobody reads, a file that became a pipe."""
    program = Program(grace=0.3, fail="hang in stop")
    program.wait_for("tick")
    program.process.send_signal(signal.SIGTERM)
    code, _, err = program.end()
    assert code == 1
    assert "the I/O loop hangs" in err


def test_a_log_that_nobody_reads_holds_up_the_last_lines_for_a_while_only() -> None:
    """Also when there was no signal, and so no other deadline."""
    code, _, err = Program(done=True, fail="hang in summary").end()
    assert code == 1
    assert "the log is not read" in err


def test_a_defect_anywhere_ends_the_process_and_is_logged() -> None:
    """Exit code 1; it must not look like a lost connection."""
    programs = {where: Program(fail=where, done=where == "close") for where in ("start", "tick", "stop", "close")}
    programs["stop"].wait_for("tick")
    programs["stop"].process.send_signal(signal.SIGTERM)
    for where, program in programs.items():
        code, _, err = program.end()
        assert code == 1
        assert f"a defect in {where}" in err
        assert '"event": "stopped"' in err


def test_a_loop_that_stands_still_is_a_problem() -> None:
    """A broker that is away is none."""
    process = Process(1.0)
    assert process.problems() == []
    process.ticked -= STANDSTILL + 5
    assert process.problems() == ["the I/O loop has stood still for 15s"]
    process.loop.close()


def test_a_call_that_is_called_off_does_not_come(process: Loop) -> None:
    """The others come in their order."""
    calls: list[int] = []
    process.call_later(0.02, lambda: calls.append(2))
    process.call_later(0.0, lambda: calls.append(1))
    process.call_later(0.01, lambda: calls.append(0))()
    process.call_later(0.04, lambda: calls.append(3))
    process.turn(lambda: len(calls) == 3, "the calls")
    assert calls == [1, 2, 3]


def test_what_is_called_behind_a_turn_comes_once_and_wakes_nobody(
    process: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wake-up is a write, a read and a turn more, for each turn that reads messages."""
    called: list[str] = []
    woken: list[str] = []

    def read() -> None:
        monkeypatch.setattr(process.loop._poller, "wake_threadsafe", lambda: woken.append("woken"))
        process.call_behind(process.guarded(lambda: called.append("behind")))
        called.append("read")
        monkeypatch.undo()

    process.call_soon(read)
    process.turn(lambda: len(called) == 2, "both")
    assert (called, woken) == (["read", "behind"], [])


def test_a_rest_lasts_as_long_as_it_is_to(process: Loop) -> None:
    """Whatever else the loop has to do."""
    began = time.monotonic()
    process.rest(0.004)
    assert time.monotonic() - began >= 0.004
