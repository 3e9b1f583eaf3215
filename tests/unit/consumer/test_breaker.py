"""An outage costs no attempt, and poison in a row still does."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.message import Message
from consumer import breaker as module
from consumer.breaker import MAX_PAUSE_SECONDS, Breaker
from consumer.delivery import Delivery
from consumer.outcome import ACK, Outcome, Park, Postponed, Retry
from consumer.settle import Done

AWAY, AWAY_AT_LAST = Retry(5.0, "E: away", "f.py:1", outage=True), Park("E: away", "f.py:1", outage=True)
POISON, REJECTED = Retry(5.0, "ValueError: no JSON"), Park("Reject: bad")
NEUTRAL = [POISON, REJECTED, Postponed(5.0, "Postpone: not now")]


@pytest.fixture(autouse=True)
def longest_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The upper bound of each drawn pause."""
    monkeypatch.setattr(module, "full_jitter", lambda attempt, cap, base: min(cap, base * 2**attempt))
    return


def done(outcome: Outcome, name: int | str | None = None, body: bytes = b"x") -> Done:
    return Delivery(None, 1, Message(body, message_id=None if name is None else f"m{name}")), outcome, 0.1


def judged(breaker: Breaker, *outcomes: Done, now: float = 100.0) -> list[Outcome]:
    return [outcome for _, outcome, _ in breaker.judge(outcomes, now)]


def opened(threshold: int = 3) -> Breaker:
    breaker = Breaker(threshold)
    judged(breaker, *(done(AWAY, name) for name in range(threshold)))
    assert breaker.open
    return breaker


def test_failures_of_so_many_messages_in_a_row_open_it_and_each_was_an_attempt() -> None:
    breaker = Breaker(3)
    assert judged(breaker, done(AWAY, 1), done(AWAY, 2)) == [AWAY, AWAY]
    assert (breaker.open, breaker.error, bool(breaker.failed)) == (False, "", True)
    assert judged(breaker, done(AWAY_AT_LAST, 3)) == [AWAY_AT_LAST]
    assert (breaker.open, breaker.error) == (True, "E: away")


@pytest.mark.parametrize("failed", [AWAY, AWAY_AT_LAST])
def test_a_failure_while_it_is_open_is_no_attempt_not_even_the_last(failed: Outcome) -> None:
    assert judged(opened(), done(failed, 9)) == [Postponed(0.0, "E: away", "f.py:1")]


def test_one_message_that_fails_often_does_not_open_it() -> None:
    """By its id, or by its body where it has none."""
    breaker = Breaker(3)
    judged(breaker, *[done(AWAY, 1), done(AWAY, body=b"same")] * 20)
    assert not breaker.open
    judged(breaker, done(AWAY, body=b"another"))
    assert breaker.open


@pytest.mark.parametrize("threshold", [1, 3])
def test_the_first_success_closes_it_and_the_count_begins_anew(threshold: int) -> None:
    breaker = opened(threshold)
    assert judged(breaker, done(ACK)) == [ACK]
    assert (breaker.open, breaker.error, bool(breaker.failed)) == (False, "", False)
    judged(breaker, *(done(AWAY, name) for name in range(threshold - 1)))
    assert not breaker.open


def test_each_second_failure_never_opens_it() -> None:
    breaker = Breaker(2)
    outcomes = [done(AWAY if name % 2 else ACK, name) for name in range(100)]
    assert judged(breaker, *outcomes) == [outcome for _, outcome, _ in outcomes]
    assert not breaker.open


def test_without_a_threshold_it_never_opens() -> None:
    breaker = Breaker(None)
    assert judged(breaker, *(done(AWAY, name) for name in range(1000))) == [AWAY] * 1000
    assert not breaker.open


@given(st.lists(st.sampled_from(NEUTRAL), max_size=20))
def test_poison_neither_opens_nor_closes_it_and_is_an_attempt_while_it_is_open(outcomes: list[Outcome]) -> None:
    breaker = Breaker(2)
    assert judged(breaker, *(done(each, name) for name, each in enumerate(outcomes))) == outcomes
    assert not breaker.open
    breaker = opened()
    assert judged(breaker, *(done(each, name) for name, each in enumerate(outcomes))) == outcomes
    assert breaker.open


def test_pauses_between_tries_grow_to_their_bound_and_begin_short_again() -> None:
    breaker, now, pauses = opened(), 100.0, []
    for name in range(8):
        pauses.append(breaker.try_at - now)
        now = breaker.try_at
        judged(breaker, done(AWAY, name), now=now)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    assert max(pauses) == MAX_PAUSE_SECONDS
    judged(breaker, done(ACK), *(done(AWAY, name) for name in range(3)), now=now)
    assert breaker.try_at - now == 1


def test_failures_that_began_before_it_opened_are_no_tries() -> None:
    """Many were sent ahead; each would double the pause."""
    breaker = opened()
    judged(breaker, *(done(AWAY, name) for name in range(50)), now=100.5)
    assert breaker.try_at == 101.0


@given(st.lists(st.tuples(st.sampled_from([ACK, AWAY, AWAY_AT_LAST, *NEUTRAL]), st.integers(0, 5)), max_size=200))
def test_it_is_open_from_three_different_failures_without_a_success_until_the_next_one(
    outcomes: list[tuple[Outcome, int]],
) -> None:
    """Whatever comes, against the rule written plainly; and nothing is lost or reordered."""
    breaker, failed = Breaker(3), set[int]()
    for outcome, name in outcomes:
        was_open = len(failed) >= 3
        [found] = judged(breaker, done(outcome, name))
        if outcome is ACK:
            failed.clear()
        elif outcome in (AWAY, AWAY_AT_LAST) and not was_open:
            failed.add(name)
        assert breaker.open == (len(failed) >= 3)
        assert found == (Postponed(0.0, "E: away", "f.py:1") if was_open and "away" in str(outcome) else outcome)
