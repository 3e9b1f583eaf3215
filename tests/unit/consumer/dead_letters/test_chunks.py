"""How many messages are asked for at a time."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.dead_letters.chunks import FIRST, LOOK, MOST, WORK, credits_of, look_chunk, work_chunk

MIB = 1024 * 1024


def test_a_look_asks_for_all_at_once_when_the_broker_can_hold_it() -> None:
    """After a few that tell how large they are."""
    assert look_chunk(0, 0, 100_000) == FIRST
    assert look_chunk(FIRST, FIRST * 1000, 100_000) == 100_000
    assert look_chunk(FIRST, FIRST * MIB, 100_000) == LOOK // MIB
    assert look_chunk(0, 0, 3) == 3


def test_work_asks_for_what_we_can_hold() -> None:
    """And for more when much must be held anyway."""
    assert work_chunk(0, 0, 100_000, 0) == FIRST
    assert work_chunk(1000, 1000, 100_000, 0) == 512
    assert work_chunk(8000, 8000, 100_000, 8000) == 4000
    assert work_chunk(90_000, 90_000, 10_000, 90_000) == 10_000
    assert work_chunk(100, 100 * MIB, 100_000, 0) == WORK // MIB


@given(st.integers(0, 10**6), st.integers(0, 10**12), st.integers(1, 10**6), st.integers(0, 10**6))
def test_there_is_always_some_and_never_more_than_is_left(seen: int, size: int, left: int, held: int) -> None:
    """Or a walk would stand still, or wait for what never comes."""
    assert 1 <= look_chunk(seen, size, left) <= left
    assert 1 <= work_chunk(seen, size, left, held) <= min(left, MOST)


def test_half_a_million_held_messages_need_no_more_than_32_chunks() -> None:
    """RabbitMQ 3.10 keeps the order of no more."""
    seen = chunks = 0
    while seen < 500_000:
        seen += work_chunk(seen, seen * 100, 500_000 - seen, seen)
        chunks += 1
    assert chunks <= 36


def test_a_consumer_asks_for_what_16_bits_can_say() -> None:
    """Several ask for more."""
    assert credits_of(0) == []
    assert credits_of(10) == [10]
    assert credits_of(65535) == [65535]
    assert credits_of(131_071) == [65535, 65535, 1]
