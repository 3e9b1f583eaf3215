"""Which tags are acknowledged, and how; against a broker of a few lines."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from consumer.acks import Unsettled


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
