"""`python -m tests.readme.terminal`: docs/terminal-*.svg, what a terminal shows of our commands. Needs tmux.

Each is run in a real terminal of WIDTH columns against a real broker, and its screen is drawn as it was.
"""

import os
import re
import shlex
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.brokers import KINDS, kinds_here
from tests.processes import OURS, ROOT, output, until
from tests.readme.documents import example

WIDTH, HEIGHT = 132, 40  # columns and lines of the terminal
ACROSS, DOWN, EDGE = 7.8, 17, 14  # pixels: of a column, of a line, and around all
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "90": "#9198a1"}
PROMPT = "\x1b[90m$\x1b[39m "
STYLE = (
    "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
    "fill:#e6edf3;white-space:pre}"
)
ORDERS = ('{"order": 1, "total": 12.5}', '{"order": 2, "total": -3}', "no JSON", '{"order": 4}')


def picture(name: str) -> Path:
    """Where it is."""
    return ROOT / "docs" / f"terminal-{name}.svg"


class Terminal:
    """A tmux of its own, in which one command runs to its end."""

    def __init__(self, command: str, env: Mapping[str, str]) -> None:
        self._name = f"mq-pair-{uuid.uuid4().hex[:8]}"
        unset = [f"-u{name}" for name in os.environ if name.startswith((*OURS, "TMUX"))]
        given = [f"{name}={value}" for name, value in env.items()]
        # The session stays when the command has ended, and its screen with it.
        words = ["env", *unset, *given, "sh", "-c", f"{command}; exec sleep 600"]
        self._tmux("-f", "/dev/null", "new-session", "-d", f"-x{WIDTH}", f"-y{HEIGHT}", shlex.join(words))

    def _tmux(self, *arguments: str) -> str:
        return output(["tmux", "-L", self._name, *arguments])

    def screen(self) -> list[str]:
        """Its lines with their colours, without the empty ones at the end."""
        return self._tmux("capture-pane", "-e", "-p").rstrip().splitlines()

    def ended(self) -> bool:
        """Whether the command has."""
        return self._tmux("display-message", "-p", "#{pane_current_command}").strip() == "sleep"

    def close(self) -> None:
        """Take it away."""
        self._tmux("kill-server")


def record(command: str, env: Mapping[str, str], middle: str = "") -> list[str]:
    """The screen at the end of the command; before it, as far as it is another, that on which `middle` is seen."""
    terminal = Terminal(command, env)
    try:
        before = until(lambda: re.search(middle, "\n".join(terminal.screen())) and terminal.screen(), middle, 120)
        until(terminal.ended, f"{command} ends", 120)
        after = terminal.screen()
    finally:
        terminal.close()
    seen = before if middle else []
    return [PROMPT + command, *seen, *(line for line in after if line not in seen)]


def spans(line: str) -> Iterator[tuple[int, str, str]]:
    """Column, colour and text of each run of words, so that no font can move what is below one another."""
    at, colour = 0, ""
    for sgr, text in re.findall(r"\x1b\[([\d;]*)m|([^\x1b]+)", line):
        if not text:
            colour = COLOURS.get(sgr.split(";")[-1], "")
            continue
        for word in re.finditer(r"\S+(?: \S+)*", text):
            yield at + word.start(), colour, word[0]
        at += len(text)


def draw(command: str, lines: Sequence[str]) -> str:
    """The whole file."""
    wide = EDGE * 2 + ACROSS * max(at + len(text) for line in lines for at, _, text in spans(line))
    high = EDGE * 2 + DOWN * len(lines)
    parts = []
    for number, line in enumerate(lines):
        for at, colour, text in spans(line):
            x, y, length = EDGE + ACROSS * at, EDGE + DOWN * (number + 0.75), ACROSS * len(text)
            fill = f' style="fill:{colour}"' if colour else ""
            place = f'x="{x:.1f}" y="{y:.1f}" textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs"'
            parts.append(f"<text {place}{fill}>{escape(text)}</text>")
    size = f'viewBox="0 0 {wide:.0f} {high}" width="{wide:.0f}" height="{high}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(command)} in a terminal">\n'
        f'<style>{STYLE}</style>\n<rect width="100%" height="100%" rx="8" fill="#0d1117"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def main() -> None:
    """Run each, and draw it."""
    plain = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "LANG": "C.UTF-8"}
    shown = {"run": ("make run COUNT=1000 DOCKER=no", plain, r"handled [3-7]\d\d .* ready\b.* ready\b")}
    with tempfile.TemporaryDirectory() as name, KINDS[kinds_here()[0]]() as broker:
        Path(name, "shipping.py").write_text(example(ROOT / "README.md", "handler"))
        Path(name, "orders.txt").write_text("".join(f"{order}\n" for order in ORDERS))
        here = {**plain, "MQ_URL": broker.url, "MQ_CH": "greetings"}
        settings = {**here, "HTTP_PORT": "0", "CONSUMER_RETRY_DELAYS": "1s,2s", "PYTHONPATH": name}
        output([sys.executable, "-m", "producer", "--source", f"lines:{name}/orders.txt"], settings)
        output([sys.executable, "-m", "consumer", "--handler", "shipping:handle", "--idle-exit", "5s"], settings)
        shown["dead-letters"] = "consumer dead-letters list", here, ""
        shown["verify"] = "consumer verify", here, ""
        shown["doctor"] = "doctor", {**here, "CONSUMER_RETRY_DELAYS": "1s,2s"}, ""
        for each, (command, env, middle) in shown.items():
            picture(each).write_text(draw(command, record(command, env, middle)))
            print(picture(each))


if __name__ == "__main__":
    main()
