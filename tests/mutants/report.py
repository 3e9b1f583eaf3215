"""The table of the modules, and the mutants that survived. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.mutants.mutations import Mutant
from tests.mutants.runner import Result
from tests.mutants.survivors import Survivor

LEAST = 90.0  # percent of the mutants of a module that are not equivalent
HEAD = f"{'module':<36}{'mutants':>9}{'killed':>9}{'(hung)':>9}{'survived':>10}{'listed':>8}{'percent':>9}"


@dataclass
class Account:
    """What became of the mutants of one module."""

    module: str
    mutants: int
    results: list[Result] = field(default_factory=list)

    def complete(self) -> bool:
        """Whether all have been tried."""
        return len(self.results) == self.mutants

    def survived(self) -> list[Mutant]:
        """In the order of the lines."""
        alive = [each.job.mutant for each in self.results if not each.failed and each.job.mutant]
        return sorted(alive, key=lambda each: (each.line, each.operator, each.after))

    def unlisted(self, listed: Sequence[Survivor]) -> list[Mutant]:
        """Those that survived and should not."""
        return [each for each in self.survived() if not any(entry.is_of(self.module, each) for entry in listed)]

    def stale(self, listed: Sequence[Survivor]) -> list[Survivor]:
        """Entries of this module whose mutant is killed now, or not made any more."""
        alive = self.survived()
        ours = [each for each in listed if each.module == self.module]
        return [each for each in ours if not any(each.is_of(self.module, mutant) for mutant in alive)]

    def percent(self, listed: Sequence[Survivor]) -> float:
        """Killed by unit tests, of those that are not equivalent."""
        equivalent = [entry for entry in listed if not entry.killed_by]
        known = sum(any(entry.is_of(self.module, each) for entry in equivalent) for each in self.survived())
        killed = sum(each.failed for each in self.results)
        return 100.0 * killed / (self.mutants - known) if self.mutants > known else 100.0

    def holds(self, listed: Sequence[Survivor]) -> bool:
        """Every survivor has its reason, every reason its survivor, and enough were killed."""
        return not self.unlisted(listed) and not self.stale(listed) and self.percent(listed) >= LEAST


def line(account: Account, listed: Sequence[Survivor]) -> str:
    """One row of the table."""
    killed, hung = sum(each.failed for each in account.results), sum(each.hung for each in account.results)
    survived = len(account.survived())
    known = survived - len(account.unlisted(listed))
    return (
        f"{account.module:<36}{account.mutants:>9}{killed:>9}{hung:>9}{survived:>10}{known:>8}"
        f"{account.percent(listed):>9.1f}" + ("" if account.holds(listed) else "  <-")
    )


def details(account: Account, listed: Sequence[Survivor]) -> list[str]:
    """What is wrong with a module, three lines each."""
    found = [
        f"{account.module}:{each.line}  {each.operator}, in {each.inside}\n  - {each.before}\n  + {each.after}"
        for each in account.unlisted(listed)
    ]
    return found + [
        f"{account.module}  listed and not surviving, in {each.inside}\n  - {each.before}\n  + {each.after}"
        for each in account.stale(listed)
    ]


def closing(accounts: Sequence[Account], listed: Sequence[Survivor]) -> str:
    """The sum of all modules."""
    total = sum(each.mutants for each in accounts)
    survived = sum(len(each.survived()) for each in accounts)
    unlisted = sum(len(each.unlisted(listed)) for each in accounts)
    stale = sum(len(each.stale(listed)) for each in accounts)
    low = [each.module for each in accounts if each.percent(listed) < LEAST]
    return (
        f"{total:,} mutants, {total - survived:,} killed ({100.0 * (total - survived) / max(1, total):.1f} %), "
        f"{unlisted} survivors not listed, {stale} stale entries, modules below {LEAST:.0f} %: {len(low)}"
    )
