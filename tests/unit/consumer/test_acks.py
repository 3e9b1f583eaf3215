"""Which tags are acknowledged, and how; against a broker of a few lines."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from consumer.acks import AT_ONCE, LINGER, Acknowledger, Unsettled
from tests.unit.conftest import Loop


class AcksMachine(RuleBasedStateMachine):
    """A broker that knows what is outstanding, and closes the channel over a tag that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.real = Unsettled()
        self.tag = 0
        self.open: list[int] = []  # by our side: not settled
        self.untold: list[int] = []  # settled, and the broker does not know it yet
        self.outstanding: set[int] = set()  # by the broker's

    @rule(count=st.integers(0, 6))
    def deliver(self, count: int) -> None:
        """Some more."""
        tags = range(self.tag + 1, self.tag + count + 1)
        self.real.delivered(tags, tags)
        self.tag += count
        self.open += tags
        self.outstanding.update(tags)

    @rule(data=st.data())
    def settle_some(self, data: st.DataObject) -> None:
        """In any order."""
        tags = data.draw(st.lists(st.sampled_from(self.open), unique=True)) if self.open else []
        self.open = [tag for tag in self.open if tag not in tags]
        self.untold += tags
        assert self.real.settle(tags) == len(self.untold)

    @rule(data=st.data())
    def reject_one(self, data: st.DataObject) -> None:
        """The broker hears of it at once."""
        if self.open:
            tag = data.draw(st.sampled_from(self.open))
            self.open.remove(tag)
            self.outstanding.remove(tag)
            self.real.rejected(tag)

    @rule()
    def acknowledge(self) -> None:
        """All that was settled since the last time."""
        multiple, singles = self.real.acknowledge()
        acknowledged: list[int] = []
        if multiple:
            assert multiple in self.outstanding, "unknown delivery tag"
            acknowledged += [tag for tag in self.outstanding if tag <= multiple]
        acknowledged += singles
        assert all(min(self.open) < tag for tag in singles), "each by itself only where one before it is not settled"
        assert sorted(acknowledged) == sorted(self.untold), "each that is settled once, and no other"
        self.outstanding.difference_update(acknowledged)
        self.untold.clear()

    @rule()
    def lose_the_channel(self) -> None:
        """Tags count from 1 again."""
        self.real.clear()
        self.tag, self.open, self.untold, self.outstanding = 0, [], [], set()

    @invariant()
    def agrees(self) -> None:
        """Both sides."""
        assert len(self.real) == len(self.open)
        assert self.real.size == sum(self.open)  # a body's size is its tag here
        assert self.outstanding == {*self.open, *self.untold}


TestAcks = AcksMachine.TestCase
TestAcks.settings = settings(max_examples=40, stateful_step_count=20)


def test_all_that_is_settled_in_order_takes_one_frame() -> None:
    """However many they are, and in whatever order they came back."""
    unsettled = Unsettled()
    unsettled.delivered(range(1, 101), [1] * 100)
    assert unsettled.settle([3, 1]) == 2
    assert unsettled.settle([2]) == 3
    assert unsettled.acknowledge() == (3, [])
    unsettled.settle(list(range(4, 101)))
    unsettled.delivered([], [])
    assert unsettled.acknowledge() == (100, [])
    assert len(unsettled) == 0


def test_what_overtook_another_is_acknowledged_by_itself() -> None:
    """The older one is still with its handler."""
    unsettled = Unsettled()
    for tag in range(1, 6):
        unsettled.delivered([tag], [1])
    unsettled.settle([1, 3, 5])
    assert unsettled.acknowledge() == (1, [3, 5])
    assert unsettled.acknowledge() == (0, [])
    unsettled.settle([2])
    assert unsettled.acknowledge() == (2, [])


class Told:
    """In the place of a channel: writes down what the broker would hear."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bool]] = []
        self.requeued: list[tuple[str, int]] = []

    def basic_ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """One frame."""
        self.frames.append((delivery_tag, multiple))

    def basic_reject(self, delivery_tag: int, requeue: bool) -> None:
        """Which every broker counts."""
        assert requeue
        self.requeued.append(("reject", delivery_tag))

    def basic_nack(self, delivery_tag: int, multiple: bool = False, *, requeue: bool) -> None:
        """Which not every broker counts."""
        assert requeue
        self.requeued.append(("nack all" if multiple else "nack", delivery_tag))


@pytest.fixture
def told() -> Told:
    return Told()


class Clock:
    """In the place of `time`: it goes only when a test says so, however long the machine pauses."""

    now = 1000.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("consumer.acks.time", clock)
    return clock


@pytest.fixture
def acks(process: Loop, told: Any, clock: Clock) -> Acknowledger:
    """Which has just told the broker of the delivery 1, and has 999 more."""
    made = Acknowledger(process, lambda: told)
    for tag in range(1, 1001):
        made.unsettled.delivered([tag], [1])
    made.settle([1], 512)
    return made


def test_what_comes_seldom_is_acknowledged_at_once(told: Told, acks: Acknowledger) -> None:
    """Without any delay."""
    assert told.frames == [(1, True)]
    assert len(acks.unsettled) == 999


def test_one_now_and_then_is_acknowledged_at_once_and_many_as_seldom_are_not(
    told: Told, acks: Acknowledger, clock: Clock
) -> None:
    """Fewer than a thousand a second."""
    clock.now += 0.002
    acks.settle([2], 512)
    assert told.frames[1:] == [(2, True)]
    clock.now += 0.002
    acks.settle([3, 4, 5], 512)
    assert told.frames[2:] == []


def test_what_comes_often_is_acknowledged_together_and_soon(process: Loop, told: Told, acks: Acknowledger) -> None:
    """In one frame, a few milliseconds later, though nothing else happens."""
    for tag in (2, 3, 4):
        acks.settle([tag], 512)
    assert told.frames == [(1, True)]
    process.turn(lambda: len(told.frames) > 1, "the next")
    assert told.frames[1:] == [(4, True)]


def test_many_do_not_wait(told: Told, acks: Acknowledger) -> None:
    """For the broker sends no more than so many ahead."""
    acks.settle(list(range(2, 2 + AT_ONCE)), 512)
    assert told.frames[1:] == [(1 + AT_ONCE, True)]


def test_half_of_a_short_prefetch_does_not_wait_either(told: Told, acks: Acknowledger) -> None:
    """Or nothing more would come meanwhile."""
    acks.settle([2], 1)
    assert told.frames[1:] == [(2, True)]


def test_what_is_held_is_told_in_the_end_and_not_on_another_channel(told: Told, acks: Acknowledger) -> None:
    """While a cancel is under way, and when the channel is lost."""
    acks.hold()
    acks.settle(list(range(2, 500)), 512)
    acks.tell()
    assert told.frames == [(1, True)]
    acks.release()
    assert told.frames[1:] == [(499, True)]
    acks.hold()
    acks.settle([500], 512)
    acks.clear()
    acks.tell()
    assert told.frames[2:] == []
    assert len(acks.unsettled) == 0


def test_what_goes_back_goes_behind_what_is_settled(told: Told, acks: Acknowledger) -> None:
    """One, counted or not; or all that is left."""
    acks.settle([2], 512)
    acks.give_back(3, counted=True)
    acks.give_back(4, counted=False)
    assert told.requeued == [("reject", 3), ("nack", 4)]
    assert len(acks.unsettled) == 996
    acks.give_back_all()
    assert told.frames[1:] == [(2, True)]
    assert told.requeued[2:] == [("nack all", 0)]
    assert len(acks.unsettled) == acks.unsettled.size == 0


def test_the_broker_has_time_for_the_last_before_the_channel_closes(
    told: Told, acks: Acknowledger, clock: Clock
) -> None:
    """It is told of what is left, and that it was told counts from then."""
    acks.settle([2, 3], 512)
    assert not acks.told()
    assert told.frames[1:] == [(3, True)]
    clock.now += LINGER * 0.9
    assert not acks.told()
    clock.now += LINGER * 0.2
    assert acks.told()
    assert told.frames[2:] == []
