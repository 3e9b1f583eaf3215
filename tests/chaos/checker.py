"""The account of every message, in the manner of Jepsen's total-queue checker. Pure.

See https://github.com/jepsen-io/jepsen, jepsen.checker/total-queue.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the messages, by their ids; counts are what the table shows."""

    attempted: int
    confirmed: int
    handled: int  # distinct
    duplicated: int  # handled once more than once
    parked: int  # distinct
    left: int  # found in another queue than the dead-letter queue, at the end
    lost: tuple[str, ...]  # confirmed, and nowhere
    unexpected: tuple[str, ...]  # somewhere, and never attempted
    recovered: tuple[str, ...]  # not confirmed as far as anybody knows, and there all the same
    unclear: tuple[str, ...]  # not confirmed, and nowhere: neither lost nor failed


def account(
    attempted: Iterable[str],
    confirmed: Collection[str],
    handled: Iterable[str],
    parked: Iterable[str] = (),
    left: Iterable[str] = (),
) -> Account:
    """Compare what went in with all that came out. `handled` holds an id once for each time it was handled."""
    tried, sure = set(attempted), set(confirmed)
    times, aside, rest = Counter(handled), set(parked), set(left)
    out = times.keys() | aside | rest
    return Account(
        attempted=len(tried),
        confirmed=len(sure),
        handled=len(times),
        duplicated=times.total() - len(times),
        parked=len(aside),
        left=len(rest),
        lost=tuple(sorted(sure - out)),
        unexpected=tuple(sorted(out - tried)),
        recovered=tuple(sorted((out & tried) - sure)),
        unclear=tuple(sorted(tried - sure - out)),
    )


def known_confirmed(attempted: list[str], refused: Collection[str], told: int, unconfirmed: int) -> set[str]:
    """The ids that a producer's closing line says are confirmed.

    `attempted` is in the source's order, and `told` and `unconfirmed` are the line's numbers. With messages left
    unconfirmed the line does not say which, so none is known; otherwise it speaks of all that was taken, a prefix of
    `attempted`: the last may have been on its way out of the source.
    """
    if unconfirmed:
        return set()
    sendable = [name for name in attempted if name not in refused]
    return set(sendable[:told])
