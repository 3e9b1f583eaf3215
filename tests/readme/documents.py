"""What our documents hold: examples, commands, links."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.processes import ROOT

DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
]
PROGRAMS = "consumer|doctor|docker|curl|k|kubectl|make|pip|producer|python|rabbitmq(?:ctl|-diagnostics|-queues)"


class Command(NamedTuple):
    """A line that a reader may type, with what stands before its comment; and where."""

    text: str
    where: str


def example(document: Path, name: str, language: str = "python", kind: str = "example") -> str:
    """The code block behind `<!-- kind: name -->`."""
    match = re.search(rf"<!-- {kind}: {name} -->\n```{language}\n(.*?)```", document.read_text(), re.DOTALL)
    assert match, f"{document.name} has no {language} {kind} {name}"
    return match[1]


def blocks(document: Path) -> list[tuple[str, str]]:
    """Language and content of each code block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text(), re.DOTALL | re.MULTILINE)


def commands(document: Path) -> list[Command]:
    """Behind each `$` of a console, in each indented block, and each program in the text that is given an argument."""
    consoles = "\n".join(content for language, content in blocks(document) if language == "console")
    typed = re.findall(r"^\$ ((?:.*\\\n)*.*)$", consoles, re.MULTILINE)
    text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    quoted = re.findall(rf"`((?:{PROGRAMS})\s[^`]+)`", text)
    typed += re.findall(rf"^    ((?:{PROGRAMS})\s.*)$", text, re.MULTILINE)
    joined = (re.sub(r"\\?\n\s*", " ", each) for each in typed + quoted)
    where = str(document.relative_to(ROOT))
    return [Command(re.sub(r"\s+#.*", "", each).strip(), where) for each in joined]


def links(document: Path) -> list[str]:
    """Where its relative links go."""
    found: list[str] = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", document.read_text())
    return [each for each in found if "://" not in each]
