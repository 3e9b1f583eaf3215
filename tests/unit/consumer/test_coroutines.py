"""Async handlers: as many at a time as are asked for, on one loop; cancelled in time; nothing lost, nothing doubled."""

import asyncio
import logging
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from threading import Event, Semaphore, current_thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pika import BasicProperties
from structlog.testing import capture_logs

from common.message import ATTEMPT, Message
from common.observe.logs import subject
from common.plugins import ConfigError
from consumer import coroutines
from consumer.coroutines import Coroutines
from consumer.delivery import Delivery
from consumer.forward import Forward
from consumer.handler import SetUp
from consumer.outcome import Ack, Forwarded, Park, Reject, Retry
from consumer.settle import Done
from tests.processes import ROOT
from tests.unit.consumer.test_workers import PATIENCE, collect, delivery
from tests.unit.origins import received

Handle = Callable[[Message], Awaitable[object]]


class Running:
    """Coroutines that are woken for, started and ended."""

    def __init__(self, handle: Handle | SetUp, count: int = 1, timeout: float = PATIENCE) -> None:
        self.woken = Semaphore(0)
        self.coroutines = Coroutines(handle, count, [5.0], self.woken.release, timeout=timeout)
        self.coroutines.start()

    def handle(self, *deliveries: Delivery) -> list[Done]:
        """Their outcomes, in the order in which they ended."""
        self.coroutines.hand_over(deliveries)
        return collect(self.coroutines, self.woken, len(deliveries))

    def leave(self) -> None:
        """As the service does."""
        deadline = time.monotonic() + PATIENCE
        while not self.coroutines.leave():
            assert time.monotonic() < deadline, "it does not end"
            time.sleep(0.01)


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    """All loops end with the test."""
    made: list[Running] = []

    def make(*arguments: Any, **named: Any) -> Running:
        made.append(Running(*arguments, **named))
        return made[-1]

    yield make
    for each in made:
        each.leave()


async def by_body(message: Message) -> None:
    """Some wait, some never do."""
    if message.body.startswith(b"later"):
        await asyncio.sleep(0.001)
    if message.body.endswith(b"reject"):
        raise Reject("no")
    if message.body.endswith(b"exit"):
        raise SystemExit(1)
    if message.body.endswith(b"fail"):
        raise ValueError("x")


EXPECTED = {b"ok": Ack, b"fail": Retry, b"exit": Retry, b"reject": Park}
EXPECTED |= {b"later " + name: outcome for name, outcome in EXPECTED.items()}


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.lists(st.lists(st.sampled_from(sorted(EXPECTED)), max_size=20), max_size=5))
def test_every_delivery_gives_exactly_one_outcome(count: int, batches: list[list[bytes]]) -> None:
    """Whatever the handler does, with any number at a time, in any batches; and the right one."""
    running = Running(by_body, count)
    deliveries: list[Delivery] = []
    for batch in batches:
        handed = [delivery(len(deliveries) + i, body) for i, body in enumerate(batch)]
        deliveries += handed
        running.coroutines.hand_over(handed)
    done = collect(running.coroutines, running.woken, len(deliveries))
    assert Counter(each.tag for each, _, _ in done) == Counter(each.tag for each in deliveries)
    running.leave()
    assert running.coroutines.outcomes() == []
    for each, outcome, seconds in done:
        assert type(outcome) is EXPECTED[each.message.body]
        assert 0 <= seconds < PATIENCE


def test_what_a_handler_returns_is_judged_as_that_of_a_plain_one(run: Callable[..., Running]) -> None:
    """Its forwards wait for their confirms; the work of what it may have begun is not done."""

    async def handle(message: Message) -> object:
        await asyncio.sleep(0)
        return Forward(message.body, to="a") if message.body == b"on" else asyncio.sleep

    (_, forwarded, _), (_, failed, _) = run(handle).handle(delivery(1, b"on"), delivery(2, b"off"))
    assert isinstance(forwarded, Forwarded)
    assert [each.body for each in forwarded.messages] == [b"on"]
    assert isinstance(failed, Retry)
    assert "whose work may not be done" in failed.error


def test_all_tasks_together_begin_with_no_more_than_the_rate() -> None:
    """What waits for its turn is taken back by a stop, and then the loop ends, though that turn is minutes away."""
    began: list[float] = []

    async def handle(_: Message) -> None:
        began.append(time.monotonic())
        await asyncio.sleep(0.1)

    for rate, most in ((50, 10), (0.005, 1)):
        began.clear()
        woken = Semaphore(0)
        workers = Coroutines(handle, 5, [], woken.release, timeout=PATIENCE, rate=rate)
        workers.start()
        workers.hand_over([delivery(tag) for tag in range(10)])
        collect(workers, woken, most)
        assert began[-1] - began[0] >= (most - 1) / rate - 0.06
        assert len(workers.take_back()) == 10 - most
        deadline = time.monotonic() + PATIENCE
        while not workers.leave():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_one_at_a_time_keeps_the_order(run: Callable[..., Running]) -> None:
    done = run(by_body).handle(*(delivery(tag, b"later ok" if tag % 3 else b"ok") for tag in range(50)))
    assert [each.tag for each, _, _ in done] == list(range(50))


def test_as_many_run_at_a_time_as_there_are_workers_and_no_more(run: Callable[..., Running]) -> None:
    """All in one thread."""
    now, most, threads = 0, 0, set()

    async def handle(_: Message) -> None:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        threads.add(current_thread().name)
        await asyncio.sleep(0.01)
        now -= 1

    assert len(run(handle, 300).handle(*map(delivery, range(1000)))) == 1000
    assert (most, threads) == (300, {"handlers"})


@pytest.mark.parametrize("way", ["passes", "swallows", "raises another", "goes on"])
def test_a_handler_over_its_time_out_is_cancelled_and_has_failed(way: str, run: Callable[..., Running]) -> None:
    """Whatever it does then. The next one, in its task, is not cancelled."""
    ended = list[str]()

    async def handle(message: Message) -> None:
        if message.body == b"quick":
            await asyncio.sleep(0.15)
            return
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            if way == "raises another":
                raise Reject("while it was cancelled") from None
            if way == "goes on":
                await asyncio.sleep(0.2)
            if way == "passes":
                raise
        finally:
            ended.append(way)

    start = time.monotonic()
    (_, failed, seconds), (_, quick, _) = run(handle, timeout=0.3).handle(delivery(1), delivery(2, b"quick"))
    assert isinstance(failed, Retry)
    assert failed.error == "TimeoutError: cancelled after 300ms, CONSUMER_HANDLER_TIMEOUT"
    assert (__file__ in failed.where) is (way in ("passes", "raises another"))
    assert failed.outage, "what it waited for may be away"
    assert 0.3 < seconds < time.monotonic() - start < 3
    assert isinstance(quick, Ack)
    assert ended == [way]


def test_a_cancelled_wait_inside_of_a_handler_is_a_failed_attempt(run: Callable[..., Running]) -> None:
    """Nobody cancelled the handler."""

    async def handle(_: Message) -> None:
        waits = asyncio.create_task(asyncio.sleep(PATIENCE))
        asyncio.get_running_loop().call_soon(waits.cancel)
        await waits

    (_, outcome, _), _ = run(handle).handle(delivery(1), delivery(2))
    assert isinstance(outcome, Retry)
    assert outcome.error == "CancelledError"


def test_a_returned_coroutine_is_a_failed_attempt(run: Callable[..., Running]) -> None:
    """By the same rule as for plain handlers; a number is of no matter."""

    async def handle(message: Message) -> object:
        return asyncio.get_running_loop().create_future() if message.body else 5

    outcomes = {each.tag: outcome for each, outcome, _ in run(handle).handle(delivery(1, b"x"), delivery(2))}
    assert isinstance(outcomes[1], Retry)
    assert "return nothing" in outcomes[1].error
    assert isinstance(outcomes[2], Ack)


def test_a_handler_that_blocks_the_loop_is_a_problem_with_the_name_of_its_message(run: Callable[..., Running]) -> None:
    """Also where another one waits; and no longer when it has ended."""
    began, go_on = Event(), Event()

    async def handle(message: Message) -> None:
        if message.message_id == "blocks":
            began.set()
            go_on.wait(PATIENCE)
        await asyncio.sleep(0.01)

    blocks, waits = (
        Delivery("channel", i, Message(b"", message_id=name)) for i, name in enumerate(["blocks", "waits"])
    )
    running = run(handle, 2, timeout=PATIENCE)
    running.coroutines.hand_over([waits, blocks])
    assert began.wait(PATIENCE)
    time.sleep(0.3)
    now = time.monotonic()
    assert running.coroutines.problems(now, PATIENCE) == []
    [problem] = running.coroutines.problems(now, 0.25)
    assert problem == "the handler of message blocks has blocked the event loop for 0s, over CONSUMER_HANDLER_TIMEOUT"
    go_on.set()
    collect(running.coroutines, running.woken, 2)
    time.sleep(0.15)
    assert running.coroutines.problems(time.monotonic(), 0.25) == []


def test_a_handler_that_does_not_end_though_it_is_cancelled_is_a_problem(run: Callable[..., Running]) -> None:
    go_on = asyncio.Event()

    async def handle(_: Message) -> None:
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue

    running = run(handle, timeout=0.1)
    running.coroutines.hand_over([delivery(1)])
    time.sleep(0.4)
    now = time.monotonic()
    assert coroutines.CANCEL_GRACE == 5.0
    assert running.coroutines.problems(now + 4.0, 0.1)[:1] != []  # the loop of a test does not turn in the future
    running.coroutines._turned = now + 10
    assert running.coroutines.problems(now + 4.0, 0.1) == []
    assert running.coroutines.problems(now + 6.0, 0.1) == ["a handler has run for 6s, over CONSUMER_HANDLER_TIMEOUT"]
    running.coroutines._loop.call_soon_threadsafe(go_on.set)
    ((_, outcome, _),) = collect(running.coroutines, running.woken, 1)
    assert isinstance(outcome, Retry)


def test_handlers_that_never_wait_let_the_loop_turn(run: Callable[..., Running]) -> None:
    """Or those that wait, and the watch, would stand still behind a long list of deliveries."""
    turned = list[float]()

    async def handle(message: Message) -> None:
        if message.body:
            while len(turned) < 5:
                turned.append(time.monotonic())
                await asyncio.sleep(0)
        time.sleep(0.002)

    done = run(handle, 2).handle(delivery(0, b"waits"), *map(delivery, range(1, 300)))
    assert [each.tag for each, _, _ in done].index(0) < 100
    assert max(later - earlier for earlier, later in pairwise(turned)) < 0.3


def test_log_lines_of_handlers_that_run_at_a_time_bear_the_names_of_their_messages(run: Callable[..., Running]) -> None:
    """And those of the tasks that they begin."""
    seen = list[tuple[Any, Any]]()

    async def look(message: Message) -> None:
        await asyncio.sleep(0.01)
        seen.append((message, getattr(subject.get(), "message", None)))

    async def handle(message: Message) -> None:
        await asyncio.gather(look(message), asyncio.create_task(look(message)))

    run(handle, 3).handle(*map(delivery, range(9)))
    assert len(seen) == 18
    assert all(message is named for message, named in seen)


def test_a_failed_message_goes_on_without_its_handlers_edits(run: Callable[..., Running]) -> None:
    async def fail(message: Message) -> None:
        message.properties.headers.clear()
        raise ValueError

    came = received(BasicProperties(message_id="mine", headers={ATTEMPT: 2}))
    ((failed, outcome, _),) = run(fail).handle(Delivery("channel", 1, Message.with_origin(b"x", came)))
    assert isinstance(outcome, Park)
    assert failed.message.headers == {ATTEMPT: 2}


def test_deliveries_that_no_handler_began_with_can_be_taken_back(run: Callable[..., Running]) -> None:
    began, go_on = Event(), asyncio.Event()

    async def handle(_: Message) -> None:
        began.set()
        await go_on.wait()

    running = run(handle, 2)
    running.coroutines.hand_over(delivery(tag) for tag in range(5))
    assert began.wait(PATIENCE)
    time.sleep(0.05)
    assert (running.coroutines.busy, running.coroutines.waiting) == (2, 3)
    assert [each.tag for each in running.coroutines.take_back()] == [2, 3, 4]
    running.coroutines._loop.call_soon_threadsafe(go_on.set)
    assert len(collect(running.coroutines, running.woken, 2)) == 2


def within(told: list[str], handle: Handle) -> SetUp:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Handle]:
        await asyncio.sleep(0)
        told.append("set up")
        yield handle
        await asyncio.sleep(0)
        told.append("torn down")

    return SetUp("shop:opened", opened())


def test_the_context_is_entered_once_and_left_after_the_last_handler() -> None:
    """On the loop; also when a handler still runs as the end begins."""
    told, began, go_on = list[str](), Event(), asyncio.Event()

    async def handle(_: Message) -> None:
        began.set()
        await go_on.wait()
        told.append("handled")

    Running(within(told, handle), 4).leave()
    assert told == ["set up", "torn down"]
    running = Running(within(told := [], handle), 4)
    running.coroutines.hand_over(map(delivery, range(3)))
    assert began.wait(PATIENCE)
    for _ in range(5):
        assert not running.coroutines.leave()
        time.sleep(0.01)
    assert told == ["set up"]
    running.coroutines._loop.call_soon_threadsafe(go_on.set)
    running.leave()
    assert told == ["set up", "handled", "handled", "handled", "torn down"]
    assert (running.coroutines.ready, running.coroutines.error) == (True, None)
    running.coroutines.hand_over([delivery(1)])  # is of no effect, and no error


@pytest.mark.parametrize("error", [ValueError("no database"), ConfigError("SHOP_DB: name it"), SystemExit(3)])
def test_a_set_up_that_fails_is_kept_and_said(error: BaseException) -> None:
    """A ConfigError is for a person, and not logged with a traceback."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Handle]:
        raise error
        yield by_body

    with capture_logs() as lines:
        running = Running(SetUp("shop:opened", opened()))
        running.leave()
    coroutines = running.coroutines
    assert not coroutines.ready
    if isinstance(error, ConfigError):
        assert str(coroutines.error) == "CONSUMER_HANDLER: SHOP_DB: name it"
    else:
        assert coroutines.error is error
    assert [line["event"] for line in lines] == ["the handler's set-up failed"] * (type(error) is not ConfigError)
    assert coroutines.problems(time.monotonic() + 1e6, 0.1) == [], "it ends by itself"


def test_a_loop_that_ends_too_early_is_an_error_and_no_success(caplog: pytest.LogCaptureFixture) -> None:
    """A task of the user's that raises SystemExit ends it: what its handlers were at is neither lost nor handled."""

    async def leave() -> None:
        raise SystemExit(4)

    async def handle(_: Message) -> None:
        task = asyncio.create_task(leave())
        await asyncio.sleep(PATIENCE)
        await task

    caplog.set_level(logging.CRITICAL)
    running = Running(handle, 2)
    running.coroutines.hand_over([delivery(1)])
    running.leave()
    assert isinstance(running.coroutines.error, SystemExit)
    assert running.coroutines.outcomes() == []


CHILDREN = """
import os
from threading import Semaphore
from common.message import Message
from common.process import fork
from consumer.coroutines import Coroutines
from consumer.delivery import Delivery
from consumer.forward import Forward

async def handle(message):
    if not (pid := os.fork()):
        {child}
        return
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)

fork.serving(True)
woken = Semaphore(0)
workers = Coroutines(handle, 1, [], woken.release, timeout=30)
workers.hand_over([Delivery("channel", tag, Message(b"x")) for tag in (1, 2)])
workers.start()
done = []
while len(done) < 2:
    woken.acquire()
    done += workers.outcomes()
print(*(type(outcome).__name__ for _, outcome, _ in done))
"""


@pytest.mark.parametrize(("child", "code"), [("pass", 0), ("raise ValueError", 1), ("__import__('sys').exit(3)", 3)])
def test_a_forked_child_that_leaves_the_handler_is_no_consumer(child: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILDREN.format(child=child)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.split() == [f"{code}", f"{code}", "Ack", "Ack"]
