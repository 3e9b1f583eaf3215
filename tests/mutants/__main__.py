"""`python -m tests.mutants [WORD...]`: a table of the mutants that the unit tests of each module kill.

It ends with 0 if every survivor is listed in survivors.toml with its reason, no entry is stale, and the unit tests kill
at least 90 % of each module's mutants that are not equivalent; else with 1.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.mutants import report, scope, survivors
from tests.mutants.mutations import mutants
from tests.mutants.report import Account
from tests.mutants.runner import GRACE, TIMES, Job, Runner

FIRST_TIMEOUT = 120.0  # seconds, of a module as it is


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="only modules whose path holds one of these")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes at a time (default: CPUs)")
    parser.add_argument("--entries", action="store_true", help="print survivors as entries for survivors.toml")
    return parser.parse_args()


def _unchanged(runner: Runner, modules: Sequence[str]) -> dict[str, float]:
    """For each module, after how many seconds a mutant of it hangs; SystemExit if its tests fail as it is."""
    limits: dict[str, float] = {}
    for result in runner.run([Job(module, scope.tests(module), None, FIRST_TIMEOUT) for module in modules]):
        if result.failed:
            raise SystemExit(f"the tests fail without a mutant: pytest {' '.join(result.job.tests)}")
        limits[result.job.module] = GRACE + TIMES * result.seconds
    return limits


def _jobs(limits: dict[str, float], modules: Sequence[str]) -> list[Job]:
    return [
        Job(module, scope.tests(module), mutant, limits[module])
        for module in modules
        for mutant in mutants((scope.ROOT / module).read_text())
    ]


def _try_all(runner: Runner, modules: Sequence[str], listed: Sequence[survivors.Survivor]) -> Iterator[Account]:
    """Each module that is done, its row of the table printed; on a terminal, how far it is, in place."""
    show = sys.stdout.isatty()
    print(report.HEAD, flush=True)
    jobs = _jobs(_unchanged(runner, modules), modules)
    accounts = {module: Account(module, sum(job.module == module for job in jobs)) for module in modules}
    began = time.monotonic()
    for done, result in enumerate(runner.run(jobs), 1):
        account = accounts[result.job.module]
        account.results.append(result)
        if account.complete():
            print(("\r\x1b[K" if show else "") + report.line(account, listed), flush=True)
            yield account
        if show:
            left = (time.monotonic() - began) / done * (len(jobs) - done)
            print(f"\r\x1b[K{done:,} of {len(jobs):,}, {left / 60:.0f} min left", end="", flush=True)
    print("\r\x1b[K" if show else "", end="")


def main() -> int:
    """0: the tests hold the code; 1: they do not; 2: no such module; 130: stopped."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the copies are removed, too
    chosen = [each for each in scope.modules() if not asked.words or any(word in each for word in asked.words)]
    if not chosen:
        print("no such module in tests/mutants/scope.py", file=sys.stderr)
        return 2
    listed, accounts, stopped = survivors.load(), list[Account](), False
    try:
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder, Runner(Path(folder), asked.workers) as runner:
            for account in _try_all(runner, chosen, listed):
                accounts.append(account)  # one by one: those before a Ctrl-C are reported, too
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        stopped = True
    for account in accounts:
        if asked.entries:
            found = [survivors.entry(account.module, mutant) for mutant in account.unlisted(listed)]
        else:
            found = report.details(account, listed)
        print("".join(f"\n{each}\n" for each in found), end="")
    gone = [] if asked.words else [each for each in listed if each.module not in chosen]
    print("".join(f"\nsurvivors.toml has an entry of a module that is not mutated: {each.module}" for each in gone))
    print(report.closing(accounts, listed))
    if stopped:
        return 130
    return int(bool(gone) or not all(account.holds(listed) for account in accounts))


if __name__ == "__main__":
    sys.exit(main())
