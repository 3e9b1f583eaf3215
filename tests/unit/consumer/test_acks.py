"""Which tags are acknowledged, how and when; against a channel that closes itself over a tag it does not know."""

import random
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from consumer.acks import (
    ACK_BATCH,
    ACK_DELAY_SECONDS,
    CLOSE_AFTER_ACK_SECONDS,
    UNBATCHED_INTERVAL_SECONDS,
    Acknowledger,
)

PREFETCH = 1024


class Channel:
    """Writes down what the broker gets, and knows which tags are outstanding."""

    def __init__(self) -> None:
        self.outstanding: set[int] = set()
        self.acks: list[tuple[int, bool]] = []
        self.requeued: list[tuple[str, int]] = []

    def basic_ack(self, delivery_tag: int, multiple: bool = False) -> None:
        assert delivery_tag in self.outstanding, "PRECONDITION_FAILED - unknown delivery tag"
        self.acks.append((delivery_tag, multiple))
        self.outstanding -= {
            tag for tag in self.outstanding if tag == delivery_tag or (multiple and tag < delivery_tag)
        }

    def basic_reject(self, delivery_tag: int, requeue: bool) -> None:
        assert requeue
        self.outstanding.remove(delivery_tag)
        self.requeued.append(("reject", delivery_tag))

    def basic_nack(self, delivery_tag: int, multiple: bool = False, *, requeue: bool) -> None:
        assert requeue
        self.outstanding = set() if multiple else self.outstanding - {delivery_tag}
        self.requeued.append(("nack all" if multiple else "nack", delivery_tag))


class AcksMachine(RuleBasedStateMachine):
    """Deliveries that are settled, requeued, and lost, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.acks = Acknowledger(Mock())
        self.tag = 0
        self.open: list[int] = []  # by our side: not settled
        self.more: dict[int, int] = {}  # bytes beside its own
        self.channel: Any = Channel()
        self.acks.channel = self.channel

    @rule(count=st.integers(0, 6))
    def deliver(self, count: int) -> None:
        tags = range(self.tag + 1, self.tag + count + 1)
        self.acks.delivered(tags, tags)
        self.tag += count
        self.open += tags
        self.channel.outstanding.update(tags)

    @rule(data=st.data(), soon=st.booleans())
    def settle_some_in_any_order(self, data: st.DataObject, soon: bool) -> None:
        tags = data.draw(st.lists(st.sampled_from(self.open), unique=True)) if self.open else []
        self.open = [tag for tag in self.open if tag not in tags]
        self.acks._flushed_at = float("inf") if soon else 0.0
        self.acks.settle(tags, PREFETCH)

    @rule(data=st.data(), counted=st.booleans())
    def requeue_one(self, data: st.DataObject, counted: bool) -> None:
        if self.open:
            tag = data.draw(st.sampled_from(self.open))
            self.open.remove(tag)
            self.acks.requeue(tag, counted=counted)
            assert tag not in self.channel.outstanding

    @rule(data=st.data(), more=st.integers(0, 9))
    def hold_more(self, data: st.DataObject, more: int) -> None:
        if self.open:
            tag = data.draw(st.sampled_from(self.open))
            self.acks.grow(tag, more)
            self.more[tag] = self.more.get(tag, 0) + more

    @rule()
    def flush(self) -> None:
        del self.channel.acks[:]
        self.acks.flush()
        assert self.channel.outstanding == set(self.open), "each that is settled, and no other"
        assert sum(multiple for _, multiple in self.channel.acks) <= 1

    @rule()
    def lose_the_channel(self) -> None:
        self.acks.lost()
        self.tag, self.open, self.more, self.channel = 0, [], {}, Channel()
        self.acks.channel = self.channel

    @invariant()
    def both_sides_agree(self) -> None:
        assert self.acks.unsettled == len(self.open)
        assert self.acks.bytes == sum(tag + self.more.get(tag, 0) for tag in self.open)  # its size is its tag here
        assert set(self.open) <= self.channel.outstanding, "nothing unsettled is acknowledged"


TestAcks = AcksMachine.TestCase
TestAcks.settings = settings(max_examples=40, stateful_step_count=20)


@pytest.fixture
def channel() -> Any:
    return Channel()


class Clock:
    """In the place of `time`: it goes only when a test says so, however long the machine pauses."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("consumer.acks.time", clock)
    return clock


@pytest.fixture
def timers() -> Mock:
    return Mock()


@pytest.fixture
def acks(timers: Mock, channel: Channel, clock: Clock) -> Acknowledger:
    """Has just acknowledged delivery 1, and has 999 more."""
    made = Acknowledger(timers)
    made.channel = channel  # type: ignore[assignment]
    channel.outstanding.update(range(1, 1001))
    made.delivered(range(1, 1001), [1] * 1000)
    made.settle([1], PREFETCH)
    assert channel.acks == [(1, True)], "the first is acknowledged at once"
    del channel.acks[:]
    return made


def test_deliveries_settled_in_any_order_are_acknowledged_by_one_frame(channel: Channel, acks: Acknowledger) -> None:
    tags = list(range(2, 2 + ACK_BATCH))
    random.Random(0).shuffle(tags)
    acks.settle(tags[:1], PREFETCH)
    acks.settle(tags[1:], PREFETCH)
    assert channel.acks == [(1 + ACK_BATCH, True)]


def test_a_delivery_that_overtook_an_older_one_is_acknowledged_by_itself(channel: Channel, acks: Acknowledger) -> None:
    """The older one is still with its handler."""
    acks.settle([2, 4, 6], PREFETCH)
    acks.flush()
    assert channel.acks == [(2, True), (4, False), (6, False)]
    acks.flush()
    assert channel.acks[3:] == []
    acks.settle([3], PREFETCH)
    acks.flush()
    assert channel.acks[3:] == [(3, True)]


def test_only_overtakers_take_no_frame_for_the_older_ones(channel: Channel, acks: Acknowledger) -> None:
    acks.settle([3], PREFETCH)
    acks.flush()
    assert channel.acks == [(3, False)]


@pytest.mark.parametrize(("settled", "rarer_than"), [(1, UNBATCHED_INTERVAL_SECONDS), (3, 3 * 0.001), (9, 0.005)])
def test_rare_deliveries_are_acknowledged_at_once_and_frequent_ones_are_not(
    channel: Channel, acks: Acknowledger, clock: Clock, settled: int, rarer_than: float
) -> None:
    """Fewer than one in UNBATCHED_INTERVAL_SECONDS, or none for ACK_DELAY_SECONDS."""
    clock.now = 0.0
    acks._flushed_at = -rarer_than * 0.99
    acks.settle(list(range(2, 2 + settled)), PREFETCH)
    assert channel.acks == []
    acks.flush()
    acks._flushed_at = -rarer_than
    acks.settle(list(range(20, 20 + settled)), PREFETCH)
    assert len(channel.acks[1:]) == settled, "behind some that are not settled"


def test_frequent_deliveries_are_acknowledged_together_by_one_timer(
    timers: Mock, channel: Channel, acks: Acknowledger
) -> None:
    """Though nothing else happens; and the next ones by the next timer."""
    for tag in (2, 3, 4):
        acks.settle([tag], PREFETCH)
    assert channel.acks == []
    [(delay, on_timer)] = [given.args for given in timers.call_later.call_args_list]
    assert delay == ACK_DELAY_SECONDS
    on_timer()
    assert channel.acks == [(4, True)]
    acks.settle([5], PREFETCH)
    assert timers.call_later.call_count == 2


def test_a_batch_is_acknowledged_at_once(channel: Channel, acks: Acknowledger) -> None:
    acks.settle(list(range(2, 1 + ACK_BATCH)), PREFETCH)
    assert channel.acks == []
    acks.settle([1 + ACK_BATCH], PREFETCH)
    assert channel.acks == [(1 + ACK_BATCH, True)]


@pytest.mark.parametrize(("prefetch", "enough"), [(1, 1), (2, 1), (8, 4), (9, 4)])
def test_half_of_a_short_prefetch_is_acknowledged_at_once(
    channel: Channel, acks: Acknowledger, prefetch: int, enough: int
) -> None:
    """The broker sends nothing more for deliveries whose acknowledgement waits."""
    for tag in range(2, 2 + enough):
        assert channel.acks == []
        acks.settle([tag], prefetch)
    assert channel.acks == [(1 + enough, True)]


def test_a_held_acknowledgement_goes_at_the_release(channel: Channel, acks: Acknowledger) -> None:
    acks.hold()
    acks.settle(list(range(2, 500)), PREFETCH)
    acks.flush()
    assert channel.acks == []
    acks.release()
    assert channel.acks == [(499, True)]


def test_a_held_acknowledgement_is_not_sent_on_another_channel(acks: Acknowledger) -> None:
    """Its tag would be another message's; and nothing is held there."""
    acks.hold()
    acks.settle([2], PREFETCH)
    acks.lost()
    assert (acks.channel, acks.unsettled, acks.bytes) == (None, 0, 0)
    acks.channel = other = Channel()  # type: ignore[assignment]
    acks.flush()
    assert other.acks == []
    other.outstanding.add(1)
    acks.delivered([1], [1])
    acks.settle([1], 1)
    assert other.acks == [(1, True)]


def test_without_a_channel_nothing_is_sent_or_forgotten(channel: Channel, acks: Acknowledger) -> None:
    acks.settle([2], PREFETCH)
    acks.channel = None
    acks.flush()
    acks.requeue(3, counted=True)
    acks.requeue_all()
    assert acks.unsettled == acks.bytes == 998
    acks.channel = channel  # type: ignore[assignment]
    acks.flush()
    assert channel.acks == [(2, True)]
    assert channel.requeued == []


def test_requeues_go_behind_the_acknowledgements(channel: Channel, acks: Acknowledger) -> None:
    """One delivery, counted by every broker or not; or all that is left."""
    acks.settle([2], PREFETCH)
    acks.requeue(3, counted=True)
    acks.requeue(4, counted=False)
    assert channel.requeued == [("reject", 3), ("nack", 4)]
    assert acks.unsettled == acks.bytes == 996
    acks.requeue_all()
    assert channel.acks == [(2, True)]
    assert channel.requeued[2:] == [("nack all", 0)]
    assert acks.unsettled == acks.bytes == 0


def test_unknown_tags_change_no_size(channel: Channel, acks: Acknowledger) -> None:
    """They are of no delivery that is held."""
    channel.outstanding.add(2000)
    acks.requeue(2000, counted=True)
    acks.settle([1], PREFETCH)
    assert acks.unsettled == acks.bytes == 999


def test_each_delivery_has_its_size() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Acknowledger(Mock()).delivered([1, 2], [1])


def test_the_channel_may_close_some_time_after_the_last_acknowledgement(
    channel: Channel, acks: Acknowledger, clock: Clock
) -> None:
    """What is left is acknowledged then, and the time counts from there."""
    clock.now = -CLOSE_AFTER_ACK_SECONDS
    acks.settle([2, 3], PREFETCH)
    assert not acks.flushed()
    assert channel.acks == [(3, True)]
    clock.now = -CLOSE_AFTER_ACK_SECONDS * 0.01
    assert not acks.flushed()
    clock.now = 0.0
    assert acks.flushed()
    assert channel.acks == [(3, True)]


def test_the_first_acknowledgement_waits_for_nothing(clock: Clock) -> None:
    """A clock may begin at 0 with the machine."""
    clock.now = CLOSE_AFTER_ACK_SECONDS
    assert Acknowledger(Mock()).flushed()
