"""The README's table of settings, made of the same descriptions as --help: `python -m local.settings_table`."""

from pathlib import Path

from common.settings.flags import default_of
from common.settings.shared import Settings
from consumer.settings import ConsumerSettings
from producer.settings import ProducerSettings

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- settings -->\n", "<!-- /settings -->"


def table() -> str:
    """Markdown: a row for each variable."""
    rows = ["| variable | of | default | meaning |", "|---|---|---|---|"]
    for settings, of in ((Settings, "both"), (ProducerSettings, "producer"), (ConsumerSettings, "consumer")):
        for name, info in settings.model_fields.items():
            if settings is Settings or name not in Settings.model_fields:
                rows.append(f"| `{name.upper()}` | {of} | {default_of(info)} | {info.description} |")
    return "\n".join(rows) + "\n"


def renewed(readme: str) -> str:
    """`readme` with the table as it is now."""
    before, _, rest = readme.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    README.write_text(renewed(README.read_text()))
