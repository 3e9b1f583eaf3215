"""The messages in flight, against two plain lists, and each decision alone."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from common.amqp.inflight import WINDOW_BYTES, InFlight, Publication, Single
from common.message import Message


def publication(token: int, size: int = 1) -> Publication[int]:
    return Publication("q", Message(bytes(size)), token)


def tokens(publications: Iterable[Publication[int]]) -> list[int]:
    return [each.token for each in publications]


def sent(count: int) -> InFlight[int]:
    """With messages 1 to `count` sent; the tags are the tokens."""
    in_flight: InFlight[int] = InFlight()
    in_flight.put(publication(token) for token in range(1, count + 1))
    in_flight.sent(in_flight.take(count), 1.0)
    return in_flight


class InFlightMachine(RuleBasedStateMachine):
    """Puts, sends, confirms, nacks and losses of the channel: nothing may be lost, doubled, or out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.real: InFlight[int] = InFlight()
        self.waiting: list[int] = []
        self.sent: dict[int, int] = {}  # tag to token
        self.times: dict[int, float] = {}  # by tags
        self.now = 0.0
        self.tag = self.number = self.oldest = 0  # `oldest`: the first token to keep

    @rule(count=st.integers(0, 4))
    def put(self, count: int) -> None:
        """More messages wait."""
        more = [self.number + i for i in range(count)]
        self.number += count
        self.real.put(publication(token) for token in more)
        self.waiting += more

    @rule(limit=st.integers(0, 6), unsendable=st.sets(st.integers(0, 5)))
    def send_up_to(self, limit: int, unsendable: set[int]) -> None:
        """As a publisher does: messages that cannot be encoded are taken and not sent."""
        self.now += 1
        taken = self.real.take(limit)
        room = max(0, limit - len(self.sent))
        assert tokens(taken) == self.waiting[:room]
        del self.waiting[:room]
        went = [each for index, each in enumerate(taken) if index not in unsendable]
        self.real.sent(went, self.now)
        for each in went:
            self.tag += 1
            self.sent[self.tag] = each.token
            self.times[self.tag] = self.now

    @rule(data=st.data(), multiple=st.booleans(), nack=st.booleans())
    def answer(self, data: st.DataObject, multiple: bool, nack: bool) -> None:
        """A confirm takes out, a nack puts back into the old place; an unknown tag does nothing."""
        tag = data.draw(st.integers(-1, self.tag + 2), label="tag")
        if multiple and tag == 0:
            tags = list(self.sent)
        else:
            tags = [each for each in self.sent if tag <= self.tag and (each == tag or (multiple and each < tag))]
        expected = [self.sent.pop(each) for each in tags]
        if nack:
            assert self.real.nacked(tag, multiple=multiple)[0] == len(expected)
            self.waiting = sorted(self.kept(expected) + self.waiting)
        else:
            confirmed = self.real.confirmed(tag, multiple=multiple)
            assert [(each.token, each.sent_at) for each in confirmed] == list(
                zip(expected, (self.times[each] for each in tags), strict=True)
            )

    @rule(poisoned=st.booleans())
    def lose_the_channel(self, poisoned: bool) -> None:
        """Everything sent goes back into its old place, except a single poisoned message."""
        unconfirmed = list(self.sent.values())
        refused, suspects = self.real.lost(poisoned=poisoned)
        if poisoned and len(unconfirmed) == 1:
            assert refused
            assert refused.token == unconfirmed.pop()
        else:
            assert refused is None
        assert suspects == (len(unconfirmed) if poisoned else 0)
        self.waiting = sorted(self.kept(unconfirmed) + self.waiting)
        self.sent, self.tag = {}, 0

    @rule(count=st.integers(0, 8))
    def discard(self, count: int) -> None:
        """The oldest are of no use any more: what waits is dropped, and what is sent does not wait again."""
        self.oldest += count
        self.real.discard(lambda token: token >= self.oldest)
        self.waiting = self.kept(self.waiting)

    def kept(self, tokens: Iterable[int]) -> list[int]:
        return [token for token in tokens if token >= self.oldest]

    @invariant()
    def agrees(self) -> None:
        """Counts, bytes, and the oldest."""
        assert len(self.real) == len(self.waiting) + len(self.sent)
        assert self.real.unconfirmed == len(self.sent)
        assert self.real._waiting_bytes == len(self.waiting)
        assert self.real._sent_bytes == len(self.sent)
        first = min(self.sent, default=0)
        assert self.real.sent_at == (self.times[first] if first else None)
        assert self.real.overtaken == bool(first and len(self.sent) <= self.tag - first)


TestInFlight = InFlightMachine.TestCase
TestInFlight.settings = settings(max_examples=60, stateful_step_count=25)


def test_a_publication_knows_its_queue_its_message_its_owners_name_and_its_size() -> None:
    message = Message(b"12345")
    made = Publication("jobs", message, "order 7")
    assert (made.routing_key, made.message, made.token, made.size) == ("jobs", message, "order 7", 5)
    assert (made.number, made.sent_at) == (0, 0.0)
    with pytest.raises(AttributeError):
        made.more = 1  # type: ignore[attr-defined]


def test_numbers_count_from_1_over_all_that_was_ever_put_in() -> None:
    in_flight: InFlight[int] = InFlight()
    first, second = [publication(1), publication(2)], [publication(3)]
    in_flight.put(first)
    in_flight.put(second)
    assert [each.number for each in first + second] == [1, 2, 3]


def test_nothing_is_sent_or_overtaken_at_first() -> None:
    in_flight: InFlight[int] = InFlight()
    assert (len(in_flight), in_flight.unconfirmed, in_flight.sent_at) == (0, 0, None)
    assert (in_flight.overtaken, in_flight.full) == (False, False)
    assert in_flight.take(9) == []


def test_at_most_the_limit_is_unconfirmed() -> None:
    in_flight = sent(2)
    in_flight.put(publication(token) for token in (3, 4, 5))
    assert in_flight.take(1) == in_flight.take(2) == []
    assert tokens(in_flight.take(4)) == [3, 4]


def test_the_oldest_is_overtaken_when_a_later_one_is_confirmed_before_it() -> None:
    in_flight = sent(3)
    assert not in_flight.overtaken
    in_flight.confirmed(2, multiple=False)
    assert in_flight.overtaken
    assert tokens(in_flight.confirmed(1, multiple=False)) == [1]
    assert not in_flight.overtaken
    assert tokens(in_flight.confirmed(3, multiple=False)) == [3], "the tags behind the gap are still known"


def test_sent_at_is_of_the_oldest_unconfirmed_message() -> None:
    in_flight: InFlight[int] = InFlight()
    in_flight.put([publication(1), publication(2)])
    in_flight.sent(in_flight.take(1), 5.0)
    in_flight.sent(in_flight.take(2), 7.0)
    assert in_flight.sent_at == 5.0
    in_flight.confirmed(1, multiple=False)
    assert in_flight.sent_at == 7.0


@given(st.permutations(range(1, 8)))
def test_every_message_is_confirmed_once_in_any_order_of_confirms(tags: list[int]) -> None:
    """One by one, and a second confirm of the same tag gives nothing."""
    in_flight = sent(7)
    for tag in tags:
        assert tokens(in_flight.confirmed(tag, multiple=False)) == [tag]
        assert in_flight.confirmed(tag, multiple=False) == []
    assert len(in_flight) == 0


def test_tag_0_names_no_message_and_with_multiple_all() -> None:
    in_flight = sent(2)
    assert in_flight.confirmed(0, multiple=False) == in_flight.confirmed(-1, multiple=False) == []
    assert in_flight.confirmed(-1, multiple=True) == in_flight.confirmed(3, multiple=True) == []
    assert tokens(in_flight.confirmed(0, multiple=True)) == [1, 2]
    assert in_flight.confirmed(0, multiple=True) == []


def test_nacked_messages_wait_before_those_that_came_later_in_their_order() -> None:
    in_flight = sent(5)
    in_flight.put([publication(6)])
    assert in_flight.nacked(4, multiple=False)[0] == 1
    assert in_flight.nacked(2, multiple=True)[0] == 2
    assert in_flight.nacked(2, multiple=True)[0] == 0
    assert tokens(in_flight.take(9)) == [1, 2, 4, 6]


def test_a_lost_channels_messages_wait_in_their_order_and_tags_count_from_1_again() -> None:
    in_flight = sent(4)
    in_flight.confirmed(1, multiple=False)
    in_flight.confirmed(3, multiple=False)
    in_flight.put([publication(5)])
    assert in_flight.lost(poisoned=False) == (None, 0)
    assert (in_flight.unconfirmed, in_flight.sent_at, in_flight.overtaken) == (0, None, False)
    again = in_flight.take(9)
    assert tokens(again) == [2, 4, 5]
    in_flight.sent(again, 2.0)
    assert tokens(in_flight.confirmed(1, multiple=False)) == [2]


def test_a_single_poisoned_message_is_refused_and_of_several_each_is_a_suspect() -> None:
    several = sent(2)
    assert several.lost(poisoned=True) == (None, 2)
    assert tokens(several.take(9)) == [1, 2]
    single = sent(1)
    refused, suspects = single.lost(poisoned=True)
    assert refused
    assert (refused.token, suspects, len(single)) == (1, 0, 0)
    assert sent(0).lost(poisoned=True) == (None, 0)


def test_what_is_discarded_does_not_wait_again() -> None:
    in_flight = sent(4)
    in_flight.put([publication(5), publication(6)])
    in_flight.discard(lambda token: token % 2 == 0)
    assert len(in_flight) == 5, "what is sent may still be confirmed"
    in_flight.nacked(2, multiple=True)
    in_flight.lost(poisoned=False)
    assert tokens(in_flight.take(9)) == [2, 4, 6]


class Sized(bytes):
    """Bytes with a made-up length, so that the test needs no memory."""

    size: int

    def __new__(cls, size: int) -> "Sized":
        made = super().__new__(cls)
        made.size = size
        return made

    def __len__(self) -> int:
        return self.size


def large(token: int, size: int) -> Publication[int]:
    return Publication("q", Message(Sized(size)), token)


@given(st.lists(st.integers(1, WINDOW_BYTES), min_size=1, max_size=8))
def test_large_messages_stop_at_a_bound_of_bytes(sizes: list[int]) -> None:
    """At most one message over it is sent, and a confirm makes room again."""
    in_flight: InFlight[int] = InFlight()
    in_flight.put(large(token, size) for token, size in enumerate(sizes))
    taken = in_flight.take(100)
    in_flight.sent(taken, 1.0)
    assert sum(each.size for each in taken[:-1]) < WINDOW_BYTES
    assert len(taken) == len(sizes) or sum(each.size for each in taken) >= WINDOW_BYTES
    assert in_flight.take(100) == [] or len(taken) == len(sizes)
    in_flight.confirmed(0, multiple=True)
    assert in_flight.unconfirmed == 0
    waits = len(in_flight) > 0
    assert bool(in_flight.take(100)) == waits


@pytest.mark.parametrize(("size", "count"), [(WINDOW_BYTES - 1, 2), (WINDOW_BYTES, 1), (WINDOW_BYTES + 1, 1)])
def test_the_bound_of_bytes_is_16_mib_exactly(size: int, count: int) -> None:
    assert WINDOW_BYTES == 16_777_216
    in_flight: InFlight[int] = InFlight()
    in_flight.put([large(1, size), large(2, 1), large(3, 1)])
    assert len(in_flight.take(100)) == count


def test_what_waits_counts_against_the_bound_too() -> None:
    """Else the source would be read on while the broker is slow, and large messages would fill the memory."""
    in_flight: InFlight[int] = InFlight()
    in_flight.put([large(1, WINDOW_BYTES // 2)])
    assert not in_flight.full
    in_flight.put([large(2, WINDOW_BYTES // 2)])
    assert in_flight.full
    in_flight.sent(in_flight.take(1), 1.0)
    assert in_flight.full, "sent and waiting together"
    in_flight.sent(in_flight.take(9), 1.0)
    assert in_flight.full
    in_flight.confirmed(2, multiple=False)
    assert not in_flight.full
    in_flight.put([large(3, WINDOW_BYTES // 2)])
    assert in_flight.full
    in_flight.nacked(1, multiple=False)
    assert in_flight.full
    in_flight.discard(lambda token: token == 3)
    assert not in_flight.full


def test_messages_for_a_full_queue_wait_behind_all_others_and_can_be_withdrawn() -> None:
    """What goes elsewhere has room there; messages of one queue keep their order."""
    in_flight: InFlight[int] = InFlight()
    in_flight.put(Publication("full", Message(b"x"), token) for token in (1, 2, 3))
    in_flight.sent(in_flight.take(3), 1.0)
    assert in_flight.nacked(3, multiple=True)[0] == 3
    assert in_flight.refusing == {"full"}
    in_flight.put([Publication("other", Message(b"x"), 4)])
    taken = in_flight.take(1)
    assert tokens(taken) == [4]
    in_flight.sent(taken, 2.0)
    assert tokens(in_flight.confirmed(4, multiple=False)) == [4]
    assert in_flight.refusing == {"full"}
    assert in_flight.withdraw(lambda token: token == 2) == [2]
    assert in_flight.withdraw(lambda token: token != 9) == [1, 3]
    assert (len(in_flight), in_flight._waiting_bytes, in_flight.refusing) == (0, 0, frozenset())


def test_nothing_is_withdrawn_that_no_queue_refused() -> None:
    """It may be sent at any moment."""
    in_flight: InFlight[int] = InFlight()
    in_flight.put([publication(1)])
    assert in_flight.withdraw(lambda _: True) == []
    in_flight.sent(in_flight.take(1), 1.0)
    in_flight.nacked(1, multiple=False)
    in_flight.sent(in_flight.take(1), 1.0)
    assert tokens(in_flight.confirmed(2, multiple=False)) == [1]
    assert in_flight.refusing == frozenset()


def single(number: int, exchange: str = "x", key: str = "jobs") -> Single[int]:
    return Single(exchange, key, Message(b"%d" % number, message_id=f"m{number}"), number)


def test_a_single_that_a_full_queue_refuses_is_given_up_and_its_neighbours_wait() -> None:
    in_flight = InFlight[int]()
    in_flight.put([publication(1), single(2), publication(3)])
    in_flight.sent(in_flight.take(9), 1.0)
    refused, singles = in_flight.nacked(3, multiple=True)
    assert (refused, [each.token for each in singles]) == (2, [2])
    assert tokens(in_flight.take(9)) == [1, 3]


@pytest.mark.parametrize("wanted", [{1}, {2}, {4}, {1, 4}, {2, 3}, {1, 2, 3, 4}])
@pytest.mark.parametrize("multiple", [True, False])
def test_singles_that_are_taken_out_are_not_confirmed_later_and_the_others_are(
    wanted: set[int], multiple: bool
) -> None:
    """Their confirms follow, in any order and together with others."""
    in_flight = InFlight[int]()
    in_flight.put([single(number) for number in (1, 2, 3, 4)])
    in_flight.sent(in_flight.take(9), 1.0)
    assert [each.token for each in in_flight.take_out(lambda each: each.token in wanted)] == sorted(wanted)
    assert in_flight.unconfirmed == len(in_flight) == 4 - len(wanted)
    tags = [4] if multiple else [3, 1, 4, 2]
    found = [each.token for tag in tags for each in in_flight.confirmed(tag, multiple=multiple)]
    assert sorted(found) == sorted({1, 2, 3, 4} - wanted)
    assert len(in_flight) == 0
    in_flight.put([single(5)])
    in_flight.sent(in_flight.take(9), 2.0)
    assert [each.token for each in in_flight.confirmed(5, multiple=False)] == [5], "tags go on"
