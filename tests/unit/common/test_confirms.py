"""Unconfirmed, against a plain dict of tag and entry."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from common.confirms import Unconfirmed


class UnconfirmedMachine(RuleBasedStateMachine):
    """Publishes, confirms of all kinds, lost channels."""

    def __init__(self) -> None:
        super().__init__()
        self.real: Unconfirmed[int] = Unconfirmed()
        self.model: dict[int, int] = {}
        self.tag = 0  # the last that was given on this channel
        self.number = 0

    @rule(count=st.integers(1, 5))
    def publish(self, count: int) -> None:
        """Some more."""
        for _ in range(count):
            self.tag += 1
            self.number += 1
            self.real.add(self.number)
            self.model[self.tag] = self.number

    @rule(data=st.data(), multiple=st.booleans())
    def confirm_any_order(self, data: st.DataObject, multiple: bool) -> None:
        """One tag, or all up to it; also of nobody."""
        tag = data.draw(st.integers(1, self.tag + 2), label="tag")
        if tag > self.tag:
            expected = []
        elif multiple:
            expected = [entry for key, entry in self.model.items() if key <= tag]
        else:
            expected = [self.model[tag]] if tag in self.model else []
        assert self.real.settle(tag, multiple=multiple) == expected
        self.model = {key: entry for key, entry in self.model.items() if entry not in expected}

    @rule()
    def confirm_all_there_are(self) -> None:
        """Tag 0 with multiple."""
        assert self.real.settle(0, multiple=True) == list(self.model.values())
        self.model.clear()

    @rule()
    def lose_the_channel(self) -> None:
        """Tags count from 1 again."""
        assert self.real.drain() == list(self.model.values())
        self.model.clear()
        self.tag = 0

    @invariant()
    def agrees(self) -> None:
        """Number and oldest."""
        assert len(self.real) == len(self.model)
        assert self.real.oldest == next(iter(self.model.values()), None)


TestUnconfirmed = UnconfirmedMachine.TestCase
TestUnconfirmed.settings = settings(max_examples=30, stateful_step_count=20)


@given(st.permutations(range(1, 8)))
def test_every_entry_comes_out_once_in_any_order_of_confirms(tags: list[int]) -> None:
    """One by one, and a second confirm of the same tag gives nothing."""
    unconfirmed: Unconfirmed[str] = Unconfirmed()
    for tag in range(1, 8):
        unconfirmed.add(f"entry {tag}")
    for tag in tags:
        assert unconfirmed.settle(tag, multiple=False) == [f"entry {tag}"]
        assert unconfirmed.settle(tag, multiple=False) == []
    assert len(unconfirmed) == 0


def test_tag_0_alone_names_no_entry() -> None:
    """Only with `multiple` does it mean all."""
    unconfirmed: Unconfirmed[str] = Unconfirmed()
    unconfirmed.add("a")
    assert unconfirmed.settle(0, multiple=False) == []
    assert unconfirmed.settle(-1, multiple=False) == []
