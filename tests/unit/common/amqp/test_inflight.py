"""Outbox, against two plain lists: what waits and what is in flight."""

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from common.amqp.inflight import WINDOW_BYTES, Outbox, Publication, Unconfirmed
from common.message import Message


def publication(token: int, size: int = 1) -> Publication[int]:
    return Publication("q", Message(bytes(size)), token)


class OutboxMachine(RuleBasedStateMachine):
    """Puts, sends, confirms, nacks and lost channels; nothing may be lost, doubled, or out of its order."""

    def __init__(self) -> None:
        super().__init__()
        self.real: Outbox[int] = Outbox()
        self.waiting: list[int] = []
        self.flying: dict[int, int] = {}  # tag to token
        self.tag = self.number = self.oldest = 0  # of the tokens to keep

    @rule(count=st.integers(0, 4))
    def put(self, count: int) -> None:
        """Some more wait."""
        tokens = [self.number + i for i in range(count)]
        self.number += count
        self.real.put(publication(token) for token in tokens)
        self.waiting += tokens

    @rule(limit=st.integers(0, 6), fail=st.booleans())
    def send_up_to(self, limit: int, fail: bool) -> None:
        """As a publisher does; one that cannot be encoded is taken and not sent."""
        while taken := self.real.next(limit):
            assert len(self.flying) < limit
            assert taken.token == self.waiting.pop(0)
            if fail:
                return
            self.tag += 1
            self.real.sent(taken, float(self.tag))
            self.flying[self.tag] = taken.token
        assert not self.waiting or len(self.flying) >= limit

    @rule(data=st.data(), multiple=st.booleans(), nack=st.booleans())
    def settle(self, data: st.DataObject, multiple: bool, nack: bool) -> None:
        """A confirm takes out, a nack puts back in its old place."""
        tag = data.draw(st.integers(1, self.tag + 1), label="tag")
        known = tag <= self.tag
        tags = [each for each in self.flying if known and (each == tag or (multiple and each < tag))]
        settled = self.real.settle(tag, multiple=multiple)
        assert [(sent.publication.token, sent.at) for sent in settled] == [(self.flying[each], each) for each in tags]
        tokens = [self.flying.pop(each) for each in tags]
        if nack:
            self.real.give_back(settled)
            self.waiting = sorted(self.kept(tokens) + self.waiting)

    @rule()
    def lose_the_channel(self) -> None:
        """All in flight goes back, each in its old place."""
        drained = self.real.drain()
        assert [sent.publication.token for sent in drained] == list(self.flying.values())
        self.real.give_back(drained)
        self.waiting = sorted(self.kept(self.flying.values()) + self.waiting)
        self.flying, self.tag = {}, 0

    @rule(count=st.integers(0, 8))
    def discard(self, count: int) -> None:
        """The oldest are of no use any more: what waits goes, what is in flight does not come back."""
        self.oldest += count
        self.real.discard(lambda token: token >= self.oldest)
        self.waiting = self.kept(self.waiting)

    def kept(self, tokens: Iterable[int]) -> list[int]:
        """Those that are not discarded."""
        return [token for token in tokens if token >= self.oldest]

    @invariant()
    def agrees(self) -> None:
        """Numbers, and the oldest."""
        assert len(self.real) == len(self.waiting) + len(self.flying)
        assert self.real._waiting_bytes == len(self.waiting)
        assert self.real._bytes == len(self.flying)
        assert len(self.real.flying) == len(self.flying)
        assert self.real.sent_at == next(iter(map(float, self.flying)), None)


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(max_examples=30, stateful_step_count=20)


class Sized(bytes):
    """Bytes that say they are many, so that the test needs no memory."""

    size: int

    def __new__(cls, size: int) -> "Sized":
        """Of this size."""
        made = super().__new__(cls)
        made.size = size
        return made

    def __len__(self) -> int:
        return self.size


@given(st.lists(st.integers(1, WINDOW_BYTES), min_size=1, max_size=8))
def test_large_messages_stop_at_a_bound_of_bytes(sizes: list[int]) -> None:
    """At most one message over it is in flight, and a confirm makes room again."""
    outbox: Outbox[int] = Outbox()
    in_flight = 0
    for token, size in enumerate(sizes):
        outbox.put([Publication("q", Message(Sized(size)), token)])
    while taken := outbox.next(100):
        assert in_flight < WINDOW_BYTES
        in_flight += len(taken.message.body)
        outbox.sent(taken, 1.0)
    assert len(outbox.flying) == len(sizes) or in_flight >= WINDOW_BYTES
    outbox.settle(0, multiple=True)
    assert len(outbox.flying) == 0
    waits = len(outbox) > 0
    assert bool(outbox.next(100)) == waits


def test_what_waits_counts_against_the_bound_too() -> None:
    """Or the source would be read on while the broker is slow, a window of large messages into the memory."""
    outbox: Outbox[int] = Outbox()
    half = Message(Sized(WINDOW_BYTES // 2))
    outbox.put([Publication("q", half, 1)])
    assert not outbox.full
    outbox.put([Publication("q", half, 2)])
    assert outbox.full
    for _ in range(2):
        taken = outbox.next(9)
        assert taken
        outbox.sent(taken, 1.0)
    assert outbox.full
    sent = outbox.settle(1, multiple=False)
    assert not outbox.full
    outbox.give_back(sent)
    assert outbox.full


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
