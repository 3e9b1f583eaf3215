"""The table says which module its tests hold, and by which rule."""

import pytest

from tests.mutants.mutations import Mutant
from tests.mutants.report import HEAD, Account, closing, details, line
from tests.mutants.runner import Job, Result
from tests.mutants.survivors import Survivor

MODULE = "consumer/acks.py"


def _account(killed: int, survived: int) -> Account:
    """The mutants are of lines 1, 2, ...; those that survived come first."""
    account = Account(MODULE, killed + survived)
    for number in range(killed + survived):
        mutant = Mutant(number + 1, "f", "constant", f"x = {number}", f"x = {number + 1}", "")
        account.results.append(Result(Job(MODULE, [], mutant, 1.0), number >= survived, False, 0.1))
    return account


def _listed(number: int, killed_by: str = "") -> Survivor:
    return Survivor(MODULE, "f", f"x = {number}", f"x = {number + 1}", "a reason", killed_by)


def test_a_row_has_a_cell_under_each_name() -> None:
    assert line(_account(19, 0), []).split() == [MODULE, "19", "19", "0", "0", "0", "100.0"]
    assert len(line(_account(19, 0), [])) == len(HEAD)


def test_a_survivor_that_is_not_listed_breaks_the_rule() -> None:
    account = _account(19, 1)
    assert not account.holds([])
    assert line(account, []).endswith("<-")
    assert details(account, []) == [f"{MODULE}:1  constant, in f\n  - x = 0\n  + x = 1"]
    assert account.holds([_listed(0)])
    assert details(account, [_listed(0)]) == []


def test_an_entry_whose_mutant_is_killed_breaks_the_rule() -> None:
    account = _account(19, 1)
    assert account.stale([_listed(0), _listed(7)]) == [_listed(7)]
    assert not account.holds([_listed(0), _listed(7)])
    assert "listed and not surviving" in details(account, [_listed(0), _listed(7)])[0]


@pytest.mark.parametrize(("killed_by", "percent"), [("", 100.0), ("tests/broker/test_a.py::test_b", 80.0)])
def test_what_a_broker_test_kills_counts_in_the_percentage_and_what_is_equivalent_does_not(
    killed_by: str, percent: float
) -> None:
    account, listed = _account(8, 2), [_listed(0, killed_by), _listed(1, killed_by)]
    assert account.percent(listed) == percent
    assert account.holds(listed) == (percent >= 90)


def test_the_last_line_counts() -> None:
    text = closing([_account(8, 2), _account(10, 0)], [_listed(0)])
    assert text.startswith("20 mutants, 18 killed (90.0 %), 1 survivors not listed, 1 stale entries")
    assert text.endswith("modules below 90 %: 1")
