"""`python -m tests.readme.settings_table`: the tables of docs/settings.md, of settings and of exit codes."""

import re
from inspect import getsource
from pathlib import Path

from common.process.exit import ExitCode
from common.settings.flags import default_of
from common.settings.shared import Settings
from consumer.settings import ConsumerSettings
from producer.settings import ProducerSettings

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def settings() -> str:
    """Markdown: a row for each variable."""
    rows = ["| variable | of | default | meaning |", "|---|---|---|---|"]
    for each, of in ((Settings, "both"), (ProducerSettings, "producer"), (ConsumerSettings, "consumer")):
        for name, info in each.model_fields.items():
            if each is Settings or name not in Settings.model_fields:
                rows.append(f"| `{name.upper()}` | {of} | {default_of(info)} | {info.description} |")
    return "\n".join(rows) + "\n"


def exit_codes() -> str:
    """Markdown: a row for each exit code, with the comment that says what it means."""
    found = re.findall(r"^    [A-Z]+ = (\d+)  # (.+)$", getsource(ExitCode), re.MULTILINE)
    rows = [f"| `{code}` | {meaning} |" for code, meaning in found]
    return "\n".join(["| exit code | meaning |", "|---|---|", *rows]) + "\n"


def renewed(text: str) -> str:
    """`text` with the tables as they are now."""
    for name, table in (("settings", settings()), ("exit codes", exit_codes())):
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        text = before + begin + table + end + rest.partition(end)[2]
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(renewed(DOCUMENT.read_text()))
