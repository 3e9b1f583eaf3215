"""The loop, the signals, the deadline, the exit code, each in its own process; and the health page."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from common.plugins import ConfigError
from common.process.exit import ExitCode
from common.process.run import Process, serve
from common.settings.shared import Settings
from local.ports import free_port
from local.reports import get
from tests.unit.conftest import Loop

ROOT = Path(__file__).parents[4]
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
    """A process around a service with the given answers."""

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
        """Read standard output up to this line."""
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


def test_one_signal_stops_the_service_and_then_closes_it() -> None:
    """With exit code 0 and the totals in the last line; for both signals."""
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


def test_a_service_that_is_done_ends_the_process_without_a_signal() -> None:
    """Messages that are left mean exit code 1."""
    programs = Program(done=True), Program(done=True, left=2)
    for program, left in zip(programs, (0, 2), strict=True):
        code, out, err = program.end()
        assert code == (1 if left else 0)
        assert f'"left": {left}' in err
        assert out.split() == ["start", "tick", "close"]


def test_a_stop_that_takes_long_reports_what_is_left() -> None:
    """A person at a terminal pressed Ctrl-C and waits."""
    program = Program(settled=False, left=2, grace=7)
    program.wait_for("tick")
    program.process.send_signal(signal.SIGINT)
    code, _, err = program.end()
    told = [line for line in map(json.loads, err.splitlines()) if line["event"] == "still stopping"]
    assert [(line["handled"], line["left"], line["grace"]) for line in told] == [(3, 2, 2)]
    assert code == 1


def test_the_process_ends_after_the_grace_though_messages_are_unsettled() -> None:
    began = time.monotonic()
    program = Program(settled=False, left=1, grace=0.3)
    program.wait_for("tick")
    program.process.send_signal(signal.SIGTERM)
    assert program.end()[0] == 1
    assert time.monotonic() - began < 10


def test_a_broker_that_does_not_answer_the_close_is_not_waited_for_long() -> None:
    began = time.monotonic()
    assert Program(done=True, closed=False).end()[0] == 0
    assert time.monotonic() - began < 10


def test_a_second_signal_ends_the_process_at_once() -> None:
    """With exit code 1 and a line on what that means."""
    program = Program(settled=False)
    program.wait_for("tick")
    program.process.send_signal(signal.SIGTERM)
    program.wait_for("stop")
    time.sleep(0.25)
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
    """Whatever blocks the loop: a log in a pipe that nobody reads, a file that became a pipe."""
    program = Program(grace=0.3, fail="hang in stop")
    program.wait_for("tick")
    program.process.send_signal(signal.SIGTERM)
    code, _, err = program.end()
    assert code == 1
    assert "the I/O loop hangs" in err


def test_a_log_that_nobody_reads_does_not_hold_up_the_end_for_long() -> None:
    """Also without a signal, and so without another deadline."""
    code, _, err = Program(done=True, fail="hang in summary").end()
    assert code == 1
    assert "the log is not read" in err


def test_a_defect_anywhere_ends_the_process_and_is_logged() -> None:
    """With exit code 1: a defect must not look like a lost connection."""
    programs = {where: Program(fail=where, done=where == "close") for where in ("start", "tick", "stop", "close")}
    programs["stop"].wait_for("tick")
    programs["stop"].process.send_signal(signal.SIGTERM)
    for where, program in programs.items():
        code, _, err = program.end()
        assert code == 1
        assert f"a defect in {where}" in err
        assert '"event": "stopped"' in err


def test_a_stalled_loop_is_a_problem() -> None:
    """After 10 seconds."""
    process = Process(1.0)
    process.ticked -= 9.0
    assert process.problems() == []
    process.ticked -= 1.7
    assert process.problems() == ["the I/O loop has stood still for 11s"]
    process.loop.close()


def test_calls_come_in_the_order_of_their_delays_and_a_cancelled_call_does_not(process: Loop) -> None:
    calls: list[int] = []
    process.call_later(0.02, lambda: calls.append(2))
    process.call_later(0.0, lambda: calls.append(1))
    process.call_later(0.01, lambda: calls.append(0))()
    process.call_later(0.04, lambda: calls.append(3))
    process.turn(lambda: len(calls) == 3, "the calls")
    assert calls == [1, 2, 3]


def test_a_call_behind_a_turn_comes_once_and_without_a_wake_up(process: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wake-up would cost a write, a read and a turn, for each turn that reads messages."""
    called: list[str] = []
    woken: list[object] = []

    def read() -> None:
        monkeypatch.setattr(process.loop, "add_callback_threadsafe", woken.append)
        process.call_behind(process.guarded(lambda: called.append("behind")))
        called.append("read")
        monkeypatch.undo()

    process.call_soon(read)
    process.turn(lambda: len(called) == 2, "both")
    assert (called, woken) == (["read", "behind"], [])


class Stub:
    """A service that is done at once."""

    def __init__(self, *, left: int = 0, on_tick: Callable[[], object] = list) -> None:
        self.left, self.on_tick = left, on_tick
        self.called: list[str] = []
        self.why: list[str] = []
        self.error: BaseException | None = None

    def __getattr__(self, name: str) -> Callable[[], bool]:
        """`start`, `stop`, `done`, `close`, `closed`."""
        return lambda: self.called.append(name) is None

    def tick(self, _now: float) -> None:
        """Call the function given."""
        self.on_tick()

    def problems(self) -> list[str]:
        return self.why

    def notes(self) -> list[str]:
        return self.why

    reasons = problems

    def summary(self) -> tuple[int, dict[str, Any]]:
        return self.left, {}


@pytest.fixture
def own_handlers() -> Any:
    """Handlers of a program that runs a service in itself; afterwards those of the tests."""
    numbers = signal.SIGTERM, signal.SIGINT, signal.SIGALRM
    before = [signal.getsignal(number) for number in numbers]
    own = [lambda *_: None for _ in numbers]
    for number, handler in zip(numbers, own, strict=True):
        signal.signal(number, handler)
    yield lambda: [signal.getsignal(number) for number in numbers] == own
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("left", [0, 3])
def test_a_run_leaves_the_handlers_of_signals_as_they_were(own_handlers: Callable[[], bool], left: int) -> None:
    """For a program that goes on, such as `doctor` with its next broker. No alarm is left either."""
    process, held = Process(30.0), []
    with capture_logs() as lines:
        code = process.run(Stub(left=left, on_tick=lambda: held.append(own_handlers())))
    process.loop.close()
    assert code is (ExitCode.FAILED if left else ExitCode.DONE)
    assert lines == [{"event": "stopped", "left": left, "log_level": "info"}]
    assert held == [False] * len(held)
    assert own_handlers()
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_run_whose_summary_raises_leaves_the_handlers_as_they_were(own_handlers: Callable[[], bool]) -> None:
    """The caller sees the error."""
    process, service = Process(30.0), Stub()
    service.summary = lambda: 1 // 0  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(ZeroDivisionError):
        process.run(service)
    process.loop.close()
    assert own_handlers()
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def settings_of(**values: object) -> Settings:
    return Settings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", **values})


def test_a_service_is_served_with_its_health_page_and_misspelled_settings_are_logged(
    own_handlers: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Problems and reasons are of the process and of the service; `mq_ready` says the same as /readyz."""
    monkeypatch.setenv("MQ_CHANNEL", "x")
    monkeypatch.setenv("MQ_HEARTBEATS", "x")
    port, seen = free_port(), list[object]()
    process = Process(30.0)

    def look() -> None:
        for page in ("livez", "readyz"):
            seen.append(get(f"http://127.0.0.1:{port}/{page}"))
        seen.append(REGISTRY.get_sample_value("mq_ready"))
        service.why = ["connecting"]

    service = Stub(on_tick=look)
    with capture_logs() as lines:
        assert serve(process, service, settings_of(http_port=port)) is ExitCode.DONE
    process.loop.close()
    assert seen[:3] == [
        (200, '{"live": true, "reasons": []}\n'),
        (200, '{"ready": true, "reasons": [], "notes": []}\n'),
        1,
    ]
    assert seen[3:6] == [
        (503, '{"live": false, "reasons": ["connecting"]}\n'),
        (503, '{"ready": false, "reasons": ["connecting", "draining"], "notes": ["connecting"]}\n'),
        0,
    ]
    assert [(line["name"], line["meant"]) for line in lines if line["event"] == "a variable that is no setting"] == [
        ("MQ_CHANNEL", None),
        ("MQ_HEARTBEATS", "MQ_HEARTBEAT"),
    ]
    assert 6 < signal.getitimer(signal.ITIMER_REAL)[0] <= 7
    signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.parametrize("error", [None, ValueError("x"), ConfigError("CONSUMER_HANDLER: SHOP_DB: name it")])
def test_a_config_error_of_the_users_code_is_said_in_a_line_and_is_exit_code_2(
    error: BaseException | None, own_handlers: Callable[[], bool], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of another one the service counts something as left."""
    process, service = Process(30.0), Stub(left=bool(error))
    service.error = error
    with capture_logs(), suppress(SystemExit) if error else nullcontext():
        code = serve(process, service, settings_of(http_port=0))
        assert code is (ExitCode.FAILED if error else ExitCode.DONE)
        assert not isinstance(error, ConfigError)
    process.loop.close()
    said = "CONSUMER_HANDLER: SHOP_DB: name it\n"
    assert capsys.readouterr().err == said * isinstance(error, ConfigError)
    signal.setitimer(signal.ITIMER_REAL, 0)


class Unused:
    """A service that must not be used."""

    def notes(self) -> list[str]:
        raise AssertionError("notes were asked for")

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"{name} was asked for")


def test_a_port_that_is_taken_is_exit_code_2_before_anything_starts(
    process: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    """With advice."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit) as caught:
            serve(process, Unused(), settings_of(http_port=port))  # type: ignore[arg-type]
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith(f"HTTP_PORT: cannot listen on 127.0.0.1:{port}: Address already in use")


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1"])
def test_an_http_host_that_is_not_this_machine_is_exit_code_2(
    host: str, process: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another port would not help, so HTTP_HOST is named."""
    with pytest.raises(SystemExit) as caught:
        serve(process, Unused(), settings_of(http_host=host))  # type: ignore[arg-type]
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith(f"HTTP_HOST: cannot listen on {host}:8080: ")


SERVED = """
import os, signal, sys, time
from common.process.run import Process, serve
from common.settings.shared import Settings
from tests.unit.common.process.test_run import Stub
code = serve(Process(30), Stub(), Settings(mq_url="amqp://h", mq_ch="jobs", http_port=0))
signal.raise_signal(signal.SIGTERM)
{more}
sys.exit(code)
"""


def test_signals_mean_the_same_while_python_waits_for_threads_at_the_end() -> None:
    """The first signal changes nothing, nor does its copy from a wrapper; a second signal ends the process."""
    again = "signal.raise_signal(signal.SIGTERM)"
    for more, wanted in ((again, 0), (f"time.sleep(0.25); {again}", 1)):
        done = subprocess.run(
            [sys.executable, "-c", SERVED.format(more=more)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == wanted
        assert ("second signal" in done.stderr) == bool(wanted)
