"""The list of mutants that may survive, each with its reason. Pure but for reading the file."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutations import Mutant

FILE = Path(__file__).with_name("survivors.toml")
KEYS = ("module", "inside", "before", "after")


@dataclass(frozen=True)
class Survivor:
    """One entry. `killed_by` is the test outside of tests/unit that notices; empty: the mutant is equivalent."""

    module: str
    inside: str
    before: str
    after: str
    reason: str
    killed_by: str = ""

    def is_of(self, module: str, mutant: Mutant) -> bool:
        """Whether it is this mutant: by texts, since lines move."""
        return (module, mutant.inside, mutant.before, mutant.after) == tuple(getattr(self, key) for key in KEYS)


def load(file: Path = FILE) -> list[Survivor]:
    """All entries; a TypeError or ValueError for one that lacks something."""
    survivors = [Survivor(**entry) for entry in tomllib.loads(file.read_text()).get("survivor", [])]
    for each in survivors:
        if not each.reason.strip():
            raise ValueError(f"no reason: {each}")
    return survivors


def entry(module: str, mutant: Mutant) -> str:
    """What to put into the file, but for the reason."""
    values = (module, mutant.inside, mutant.before, mutant.after)
    lines = [f"{key} = {_quoted(value)}" for key, value in zip(KEYS, values, strict=True)]
    return "\n".join(["[[survivor]]", *lines, 'reason = ""'])


def _quoted(text: str) -> str:
    if "'" not in text:
        return f"'{text}'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
