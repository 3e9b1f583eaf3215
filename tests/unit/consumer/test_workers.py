"""The handler threads: nothing lost, nothing doubled, woken when there is something."""

import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Barrier, Event, Semaphore, current_thread
from types import BuiltinMethodType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pika import BasicProperties
from structlog.testing import capture_logs

from common.message import ATTEMPT, Message
from common.observe.logs import subject
from common.plugins import ConfigError
from consumer.delivery import Delivery
from consumer.handler import SetUp
from consumer.outcome import Ack, Park, Reject, Retry
from consumer.workers import Done, Workers
from tests.processes import ROOT
from tests.unit.origins import received

PATIENCE = 10.0  # seconds


def delivery(tag: int, body: bytes = b"", attempt: int = 1) -> Delivery:
    return Delivery("channel", tag, Message(body, headers={ATTEMPT: attempt}))


def collect(workers: Workers, woken: Semaphore, count: int) -> list[Done]:
    """So many outcomes, looking only when woken."""
    done: list[Done] = []
    while len(done) < count:
        assert woken.acquire(timeout=PATIENCE), f"woken for {len(done)} of {count}"
        done += workers.outcomes()
    return done


def fail_by_body(message: Message) -> None:
    if message.body == b"reject":
        raise Reject("no")
    if message.body == b"exit":
        raise SystemExit(1)
    if message.body == b"fail":
        raise ValueError("x")


@settings(max_examples=25)
@given(
    st.integers(1, 4),
    st.lists(st.lists(st.sampled_from([b"ok", b"fail", b"reject", b"exit"]), max_size=20), max_size=5),
)
def test_every_delivery_gives_exactly_one_outcome(count: int, batches: list[list[bytes]]) -> None:
    """Whatever the handler does, with any number of threads, in any batches; and the right one."""
    woken = Semaphore(0)
    workers = Workers(fail_by_body, count, [5.0], woken.release)
    workers.start()
    deliveries: list[Delivery] = []
    for batch in batches:
        handed = [delivery(len(deliveries) + i, body) for i, body in enumerate(batch)]
        deliveries += handed
        workers.hand_over(handed)
    done = collect(workers, woken, len(deliveries))
    assert Counter(delivery.tag for delivery, _, _ in done) == Counter(each.tag for each in deliveries)
    assert workers.outcomes() == []
    expected = {b"ok": Ack, b"fail": Retry, b"exit": Retry, b"reject": Park}
    for each, outcome, seconds in done:
        assert type(outcome) is expected[each.message.body]
        assert 0 <= seconds < PATIENCE


def test_one_worker_keeps_the_order() -> None:
    """That is what one is for."""
    woken, seen = Semaphore(0), []
    workers = Workers(lambda message: seen.append(message.body), 1, [], woken.release)
    workers.start()
    for tag in range(100):
        workers.hand_over([delivery(tag, b"%d" % tag)])
    done = collect(workers, woken, 100)
    assert seen == [b"%d" % tag for tag in range(100)]
    assert [delivery.tag for delivery, _, _ in done] == list(range(100))


def test_several_workers_work_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits here for all the others, and none wakes by itself."""
    monkeypatch.setattr("consumer.workers.IDLE_WAIT_SECONDS", 2 * PATIENCE)
    together = Barrier(4)
    woken = Semaphore(0)
    workers = Workers(lambda _: void(together.wait(PATIENCE)), 4, [], woken.release)
    workers.start()
    workers.hand_over(delivery(tag) for tag in range(4))
    assert all(isinstance(outcome, Ack) for _, outcome, _ in collect(workers, woken, 4))


def test_no_more_workers_wake_than_there_is_work_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that wake for nothing are in the way of the one that works."""
    workers = Workers(lambda _: None, 8, [], lambda: None)  # which never start
    woken: list[int] = []
    monkeypatch.setattr(workers._work, "notify", woken.append)
    workers.hand_over([delivery(1)])
    workers.hand_over([delivery(2), delivery(3)])
    workers.take_back()
    workers.hand_over([])
    assert woken == [1, 3, 0]


def take_away(message: Message) -> None:
    message.properties.headers.clear()


def make_a_list(message: Message) -> None:
    message.properties.headers = []


def rename(message: Message) -> None:
    message.properties.message_id = "other"


@pytest.mark.parametrize("change", [take_away, make_a_list, rename])
def test_a_failed_message_goes_on_without_its_handlers_edits(change: Callable[[Message], None]) -> None:
    """Whatever its handler did to the properties: without our headers it would be tried for ever."""

    def fail(message: Message) -> None:
        change(message)
        raise ValueError

    came = received(BasicProperties(message_id="mine", headers={ATTEMPT: 2, "tenant": "a"}))
    woken = Semaphore(0)
    workers = Workers(fail, 1, [1.0], woken.release)
    workers.start()
    workers.hand_over([Delivery("channel", 1, Message.with_origin(b"x", came))])
    ((delivery, outcome, _),) = collect(workers, woken, 1)
    assert isinstance(outcome, Park)
    assert (delivery.message.message_id, delivery.message.headers) == ("mine", {ATTEMPT: 2, "tenant": "a"})


def void(_: object) -> None:
    """For a lambda that returns nothing."""


def test_deliveries_that_no_handler_began_with_can_be_taken_back() -> None:
    """In its order; the one that runs ends as usual."""
    began, go_on, woken = Event(), Event(), Semaphore(0)

    def handle(_: Message) -> None:
        began.set()
        go_on.wait(PATIENCE)

    workers = Workers(handle, 1, [], woken.release)
    workers.start()
    workers.hand_over(delivery(tag) for tag in range(5))
    assert began.wait(PATIENCE)
    assert workers.busy == 1
    assert 0 < workers.longest(time.monotonic() + 1) < PATIENCE
    assert workers.waiting == 4
    assert [each.tag for each in workers.take_back()] == [1, 2, 3, 4]
    assert workers.take_back() == []
    go_on.set()
    assert [delivery.tag for delivery, _, _ in collect(workers, woken, 1)] == [0]
    assert (workers.busy, workers.longest(time.monotonic())) == (0, 0.0), "before it wakes anybody"


def test_the_longest_running_handler_is_the_one_that_started_first() -> None:
    workers = Workers(fail_by_body, 3, [], lambda: None)
    assert (workers.busy, workers.longest(10.0)) == (0, 0.0)
    workers._running[:] = [(5.0, delivery(1)), (3.0, delivery(2)), None]
    assert (workers.busy, workers.longest(10.0)) == (2, 7.0)


def test_handler_threads_do_not_keep_the_process_alive() -> None:
    assert all(thread.daemon for thread in Workers(fail_by_body, 3, [], lambda: None)._threads)


def test_a_delivery_that_a_worker_takes_meanwhile_is_not_taken_back() -> None:
    workers = Workers(fail_by_body, 1, [], lambda: None)

    class Raced(deque[Delivery]):
        def pop(self) -> Delivery:  # type: ignore[override]
            self.clear()
            return super().pop()

    workers._pending = Raced([delivery(1)])
    assert workers.take_back() == []


def test_work_that_came_before_the_wait_is_not_waited_for() -> None:
    """Its notification has been: nothing else would wake the worker before IDLE_WAIT_SECONDS."""
    handled, waits = Event(), list[float]()
    workers = Workers(lambda _: handled.set(), 1, [], lambda: None)

    class Work:
        def __enter__(self) -> None:
            if not handled.is_set():
                workers._pending.append(delivery(1))

        def __exit__(self, *_: object) -> None: ...

        def wait(self, seconds: float) -> None:
            waits.append(handled.is_set())
            Event().wait()  # for ever

    workers._work = Work()  # type: ignore[assignment]
    workers.start()
    assert handled.wait(PATIENCE)
    assert False not in waits


def test_one_wake_up_is_for_all_outcomes_that_are_not_fetched() -> None:
    """And the next one after they were: a wake-up is a call of the system."""
    woken, last_began, go_on = Semaphore(0), Event(), Event()

    def handle(message: Message) -> None:
        if message.body == b"last":
            last_began.set()
            go_on.wait(PATIENCE)

    workers = Workers(handle, 1, [], woken.release)
    workers.start()
    workers.hand_over([delivery(1), delivery(2), delivery(3), delivery(4, b"last")])
    assert last_began.wait(PATIENCE)
    assert woken.acquire(blocking=False)
    assert not woken.acquire(blocking=False)
    assert len(workers.outcomes()) == 3
    go_on.set()
    assert woken.acquire(timeout=PATIENCE)
    assert len(workers.outcomes()) == 1


def test_log_lines_of_a_handler_bear_the_names_of_its_message() -> None:
    woken, subjects = Semaphore(0), list[Message | None]()
    workers = Workers(lambda _: subjects.append(getattr(subject.get(), "message", None)), 1, [], woken.release)
    workers.start()
    workers.hand_over([handed := delivery(1)])
    collect(workers, woken, 1)
    assert subjects == [handed.message]


def test_the_first_failure_of_a_kind_has_its_traceback() -> None:
    """The place and the type are the same; the message is not, and its body is in no traceback."""
    woken = Semaphore(0)
    workers = Workers(fail_by_body, 1, [5.0], woken.release)
    workers.start()
    workers.hand_over([delivery(tag, body) for tag, body in enumerate([b"fail", b"fail", b"exit", b"ok", b"reject"])])
    traces = [getattr(outcome, "trace", None) for _, outcome, _ in collect(workers, woken, 5)]
    assert [bool(trace) for trace in traces] == [True, False, True, False, False], "a verdict needs none"
    assert str(traces[0]).endswith('raise ValueError("x")\nValueError: x')


def test_the_next_deliveries_can_be_kept() -> None:
    """What is taken back is what came last."""
    workers = Workers(fail_by_body, 1, [], lambda: None)
    workers.hand_over(delivery(tag) for tag in range(5))
    assert [each.tag for each in workers.take_back(3)] == [3, 4]
    assert workers.take_back(3) == []
    assert [each.tag for each in workers.take_back()] == [0, 1, 2]


def test_before_they_start_workers_only_collect() -> None:
    """Nothing is handled before the service says so."""
    workers = Workers(fail_by_body, 2, [], lambda: None)
    workers.hand_over([delivery(1)])
    assert workers.outcomes() == []
    assert [each.tag for each in workers.take_back()] == [1]


def test_the_oldest_delivery_is_the_one_that_is_next() -> None:
    """However long ago it was published; one without a date is new, and where none waits nothing is old."""
    workers = Workers(fail_by_body, 1, [], lambda: None)
    assert workers.oldest() == 0.0
    now = int(time.time())
    dated = [Message(b"", properties=BasicProperties(timestamp=now - age)) for age in (60, 30)]
    workers.hand_over(Delivery("channel", tag, message) for tag, message in enumerate(dated, 1))
    assert 60 <= workers.oldest() < 60 + PATIENCE
    workers.take_back()
    workers.hand_over([delivery(1)])
    assert workers.oldest() == 0.0


@pytest.mark.parametrize(("attempt", "outcome"), [(1, Retry), (2, Retry), (3, Park)])
def test_the_messages_attempt_decides_between_retry_and_park(attempt: int, outcome: type) -> None:
    """It travels with it, over all consumers."""
    woken = Semaphore(0)
    workers = Workers(fail_by_body, 1, [1.0, 2.0], woken.release)
    workers.start()
    workers.hand_over([delivery(1, b"fail", attempt)])
    [(_, decided, _)] = collect(workers, woken, 1)
    assert isinstance(decided, outcome)
    if isinstance(decided, Retry):
        assert decided.delay == float(attempt)


async def _async(_: Message) -> None: ...


def _yields(_: Message) -> Iterator[None]:
    yield


async def _async_yields(_: Message) -> AsyncIterator[None]:
    yield


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize("later", [_async, _yields, _async_yields, lambda _: Future(), lambda _: map(str, [])])
def test_a_returned_future_or_lazy_value_is_a_failed_attempt(later: Callable[[Message], Any]) -> None:
    """It is never acknowledged: what it stands for may not have run. A number is of no matter."""
    woken = Semaphore(0)
    workers = Workers(lambda message: later(message) if message.body == b"later" else 5, 1, [1.0], woken.release)
    workers.start()
    workers.hand_over([delivery(1, b"later"), delivery(2)])
    outcomes = {delivery.tag: outcome for delivery, outcome, _ in collect(workers, woken, 2)}
    first, second = outcomes[1], outcomes[2]
    assert isinstance(first, Retry)
    assert "return nothing" in first.error
    assert isinstance(second, Ack)


@pytest.mark.parametrize("odd", [RuntimeError, SystemExit])
def test_a_worker_survives_errors_that_cannot_be_printed(odd: type[BaseException]) -> None:
    """Also an error that cannot be printed."""

    class OddError(Exception):
        def __str__(self) -> str:
            raise odd("not even this")

    def handle(message: Message) -> None:
        if message.body == b"odd":
            raise OddError

    woken = Semaphore(0)
    workers = Workers(handle, 1, [1.0], woken.release)
    workers.start()
    workers.hand_over([delivery(1, b"odd"), delivery(2)])
    assert [type(outcome) for _, outcome, _ in collect(workers, woken, 2)] == [Retry, Ack]


def leave(workers: Workers) -> None:
    """As the service does."""
    deadline = time.monotonic() + PATIENCE
    while not workers.leave():
        assert time.monotonic() < deadline, "it does not end"
        time.sleep(0.01)


@pytest.mark.parametrize("count", [1, 4])
def test_the_handlers_context_is_entered_once_and_left_after_the_last_handler(count: int) -> None:
    """In one thread, that of the first handler: also when others still run as the end begins, and one raises."""
    told, threads, go_on, woken = list[str](), list[str](), Event(), Semaphore(0)

    def handle(_: Message) -> None:
        go_on.wait(PATIENCE)
        if current_thread().name != "handler-0":
            time.sleep(0.1)
        told.append("handled")
        raise ValueError

    @contextmanager
    def opened() -> Iterator[Callable[[Message], None]]:
        threads.append(current_thread().name)
        told.append("set up")
        try:
            yield handle
        finally:
            told.append("torn down")
            threads.append(current_thread().name)

    workers = Workers(SetUp("shop:opened", opened()), count, [], woken.release)
    assert not workers.ready
    workers.start()
    workers.hand_over(delivery(tag) for tag in range(6))
    for _ in range(5):
        assert not workers.leave()
        time.sleep(0.01)
    assert told == ["set up"]
    go_on.set()
    collect(workers, woken, 6)
    leave(workers)
    assert told == ["set up", *["handled"] * 6, "torn down"]
    assert threads == ["handler-0", "handler-0"]
    assert (workers.ready, workers.error) == (True, None)


def test_without_a_context_there_is_nothing_to_leave() -> None:
    assert Workers(fail_by_body, 1, [], lambda: None).leave()


@pytest.mark.parametrize("what", ["set-up", "tear-down"])
@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), ConfigError("SHOP_DB: name it")])
def test_a_set_up_or_tear_down_that_fails_is_kept_and_said(what: str, error: BaseException) -> None:
    """A ConfigError is for a person, and not logged with a traceback."""

    @contextmanager
    def opened() -> Iterator[Callable[[Message], None]]:
        if what == "set-up":
            raise error
        yield fail_by_body
        raise error

    with capture_logs() as lines:
        workers = Workers(SetUp("shop:opened", opened()), 2, [], lambda: None)
        workers.start()
        leave(workers)
    assert workers.ready is (what == "tear-down")
    if isinstance(error, ConfigError):
        assert isinstance(workers.error, ConfigError)
        assert str(workers.error) == "CONSUMER_HANDLER: SHOP_DB: name it"
        assert lines == []
    else:
        assert workers.error is error
        assert [(each["event"], each["exc_info"]) for each in lines] == [(f"the handler's {what} failed", error)]


def test_a_context_that_gives_no_handler_is_left_again() -> None:
    told = list[str]()

    @contextmanager
    def opened() -> Iterator[Any]:
        try:
            yield None
        finally:
            told.append("torn down")

    workers = Workers(SetUp("shop:opened", opened()), 2, [], lambda: None)
    workers.start()
    leave(workers)
    assert str(workers.error).startswith("CONSUMER_HANDLER: shop:opened gave None, which is no handler")
    assert told == ["torn down"]


@settings(max_examples=12)
@given(st.integers(1, 6), st.integers(100, 1000), st.lists(st.integers(0, 15), min_size=1, max_size=4))
def test_all_workers_together_begin_with_no_more_than_the_rate(count: int, rate: int, batches: list[int]) -> None:
    """Each message once, however they come; a twentieth of a second is caught up, by threads that wake late."""
    began: deque[float] = deque()
    woken = Semaphore(0)
    workers = Workers(lambda _: began.append(time.monotonic()), count, [], woken.release, rate=rate)
    workers.start()
    tags = iter(range(sum(batches)))
    for size in batches:
        workers.hand_over([delivery(next(tags)) for _ in range(size)])
        time.sleep(0.01)
    assert Counter(each.tag for each, *_ in collect(workers, woken, sum(batches))) == Counter(range(sum(batches)))
    times = sorted(began)
    late = 0.02  # seconds by which a thread notes its time behind its turn
    for first in range(len(times)):
        for last in range(first, len(times)):
            assert last - first <= rate * (times[last] - times[first] + 0.05 + late) + 1.001


def test_what_waits_for_its_turn_can_be_taken_back_at_once() -> None:
    """By a stop: no handler is seen as busy, and the next turn is minutes away."""
    woken = Semaphore(0)
    workers = Workers(lambda _: None, 3, [], woken.release, rate=0.005)
    workers.start()
    workers.hand_over([delivery(tag) for tag in range(5)])
    (done,) = collect(workers, woken, 1)
    time.sleep(0.05)
    assert (done[0].tag, workers.busy, workers.waiting) == (0, 0, 4)
    assert [each.tag for each in workers.take_back()] == [1, 2, 3, 4]


def test_a_context_is_left_though_the_next_turn_is_minutes_away() -> None:
    """What waited for it was taken back by the stop."""
    left = Event()

    @contextmanager
    def opened() -> Iterator[Callable[[Message], None]]:
        yield lambda _: None
        left.set()

    woken = Semaphore(0)
    workers = Workers(SetUp("shop:opened", opened()), 2, [], woken.release, rate=0.005)
    workers.start()
    workers.hand_over([delivery(tag) for tag in range(4)])
    collect(workers, woken, 1)
    time.sleep(0.05)
    assert len(workers.take_back()) == 3
    leave(workers)
    assert left.is_set()


def test_a_worker_without_a_rate_takes_its_next_message_by_nothing_but_popleft() -> None:
    workers = Workers(lambda _: None, 1, [], lambda: None)
    assert isinstance(workers._next, BuiltinMethodType)
    assert workers._next.__self__ is workers._pending


CHILDREN = """
import os, sys
from threading import Semaphore
from common.message import Message
from common.process import fork
from consumer.delivery import Delivery
from consumer.workers import Workers

def handle(message):
    if not (pid := os.fork()):
        {child}
        return
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)

fork.serving(True)
woken = Semaphore(0)
workers = Workers(handle, 1, [], woken.release)
workers.hand_over([Delivery("channel", tag, Message(b"x")) for tag in (1, 2)])
workers.start()
done = []
while len(done) < 2:
    woken.acquire()
    done += workers.outcomes()
print(*(type(outcome).__name__ for _, outcome, _ in done))
"""


@pytest.mark.parametrize(("child", "code"), [("pass", 0), ("raise ValueError", 1), ("sys.exit(3)", 3)])
def test_a_forked_child_that_leaves_the_handler_is_no_worker(child: str, code: int) -> None:
    """It ends where a program would end: it handles no other message, and its parent does not wait for ever."""
    done = subprocess.run(
        [sys.executable, "-c", CHILDREN.format(child=child)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.split() == [f"{code}", f"{code}", "Ack", "Ack"]
