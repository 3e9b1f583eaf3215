"""Requests in flight: bounded, none forgotten, and none let go before its time."""

from collections.abc import Iterator
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.message import Message
from producer.http.pending import Pending, Receipt
from producer.source import Item


def messages(count: int, name: str = "m") -> list[Message]:
    return [Message(b"x", message_id=f"{name}-{number}") for number in range(count)]


def admitted(pending: Pending, count: int, name: str = "m") -> Receipt:
    receipt = pending.admit(messages(count, name))
    assert receipt
    return receipt


def position(item: Item) -> int:
    assert item.position
    return item.position


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_each_request_is_settled_with_its_own_last_message(sizes: list[int], dice: object) -> None:
    """Whatever the order of the confirms; then, with its answer, it makes room."""
    pending = Pending(len(sizes))
    receipts = [admitted(pending, size, str(number)) for number, size in enumerate(sizes)]
    assert pending.admit(messages(1)) is None
    source = pending.items()
    items = [next(source) for _ in range(sum(sizes))]
    assert [item.value for item in items] == [message for receipt in receipts for message in receipt.messages]
    owners = {position(item): receipt for receipt in receipts for item in items if item.value in receipt.messages}
    assert len(owners) == sum(sizes)
    left = dict(zip(receipts, sizes, strict=True))
    dice.shuffle(items)  # type: ignore[attr-defined]
    for item in items:
        receipt = owners[position(item)]
        assert not receipt.settled.is_set()
        pending.taken(position(item))
        pending.confirmed(position(item))
        left[receipt] -= 1
        assert receipt.settled.is_set() == (left[receipt] == 0)
    assert len(pending) == len(sizes)
    for receipt in receipts:
        pending.answered(receipt)
    assert len(pending) == 0
    assert pending.admit(messages(1))


def test_a_request_that_was_answered_too_early_keeps_its_place_until_it_is_settled() -> None:
    """Or a broker that is slow would make what is held grow without end."""
    pending = Pending(1)
    receipt = admitted(pending, 1)
    pending.answered(receipt)
    assert pending.admit(messages(1)) is None
    pending.confirmed(position(next(pending.items())))
    assert pending.admit(messages(1))


def test_the_refused_are_named() -> None:
    """The others of the batch are confirmed as usual."""
    pending = Pending(1)
    receipt = admitted(pending, 3)
    source = pending.items()
    first, second, third = (position(next(source)) for _ in range(3))
    pending.confirmed(third)
    pending.refused(second)
    assert not receipt.settled.is_set()
    pending.confirmed(first)
    assert (receipt.settled.is_set(), receipt.unsettled, receipt.refused) == (True, 0, ["m-1"])


def test_a_stop_admits_nobody_and_ends_the_source_when_all_have_their_answers() -> None:
    """What was taken over before is still given, and confirmed."""
    pending = Pending(9)
    receipt = admitted(pending, 2)
    pending.stop()
    assert pending.admit(messages(1)) is None
    got: list[Item] = []

    def take(source: Iterator[Item]) -> None:
        got.extend(source)

    thread = Thread(target=take, args=[pending.items()])
    thread.start()
    thread.join(0.3)
    assert len(got) == 2
    for item in got:
        pending.confirmed(position(item))
    thread.join(0.3)
    assert thread.is_alive()
    pending.answered(receipt)
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("taken", [0, 1])
def test_at_the_end_who_waits_is_let_go_unsettled(taken: int) -> None:
    """Whether or not its messages were read already."""
    pending = Pending(9)
    receipt = admitted(pending, 1)
    if taken:
        next(pending.items())
    pending.tick(0.0)
    pending.close()
    assert receipt.settled.is_set()
    assert receipt.unsettled == 1
    assert pending.admit(messages(1)) is None
