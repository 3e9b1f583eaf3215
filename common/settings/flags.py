"""Flags: reads the command line and the environment into a frozen settings object, or exits with 2."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from common.process.exit import ExitCode
from common.settings.shared import Settings
from common.settings.types import format_duration
from common.terminal import printable

S = TypeVar("S", bound=Settings)
Wide = partial(argparse.HelpFormatter, max_help_position=30, width=110)  # as wide as our lines
# With a password, also one that lacks percent-encoding, or without: the name may be a token.
USER = re.compile(r"://\S*@")


class Parser(argparse.ArgumentParser):
    """Shows no password in its errors, such as the password of a URL in the wrong place, and no control character."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(USER.sub("://…@", message)))


def flag_of(field: str) -> str:
    """`producer_source` is `--source`; `producer_http_port` keeps its prefix, because `--http-port` is taken."""
    return "--" + re.sub("^(producer|consumer|doctor|verify)_(?!http_)", "", field).replace("_", "-")


def written(value: object) -> str:
    """A setting's value as a person writes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return format_duration(value)
    if isinstance(value, tuple):
        return ",".join(format_duration(each) for each in value)
    return "-" if value is None else str(value)


def default_of(info: FieldInfo) -> str:
    """The default as a person writes it."""
    if info.is_required():
        return "required"
    if info.default is None:
        return (info.json_schema_extra or {}).get("unset", "-")  # type: ignore[union-attr, return-value]
    return written(info.default)


def load(settings: type[S], program: str, arguments: Sequence[str] | None = None) -> S:
    """The settings of the flags, which win, and of the environment.

    Exits with 2 and a line for each wrong variable on standard error: its name, the problem, an example.
    """
    parser = Parser(
        program,
        description=settings.__doc__,
        epilog="Each flag is also the environment variable named beside it. Durations: 250ms, 5s, 2m, 1h. "
        "Exit codes: 0 done or stopped cleanly; 1 messages left unconfirmed, or a defect; 2 a wrong setting.",
        formatter_class=Wide,
        allow_abbrev=False,
    )
    add_flags(parser.add_argument, settings.model_fields)
    return read(settings, vars(parser.parse_args(arguments)))


def add_flags(add_argument: Callable[..., object], fields: Mapping[str, FieldInfo]) -> None:
    """By `add_argument` of a parser or a group. No flag has a default: what is not given comes from the environment."""
    for name, info in fields.items():
        text = f"{name.upper()}: {info.description} (default: {default_of(info)})".replace("%", "%%")
        switch: dict[str, Any] = {"nargs": "?", "const": "true"} if info.annotation is bool else {}
        add_argument(flag_of(name), dest=name, metavar="…", default=argparse.SUPPRESS, help=text, **switch)


def read(settings: type[S], flags: Mapping[str, Any]) -> S:
    """The settings of `flags`, by the names of the fields, and of the environment. Exits as `load` does."""
    fields = settings.model_fields
    for name in ("mq_url", "otel_exporter_otlp_endpoint"):
        if USER.search(flags.get(name, "")):
            why = "a password or token on a command line is seen by all users of the machine; set it in the environment"
            fail([f"{name.upper()}: {why}"])
    try:
        loaded = settings(**flags)
    except ValidationError as error:
        fail([_line(fields, problem) for problem in error.errors(include_url=False, include_input=False)])
    if problems := loaded.problems():
        fail([f"{name}: {problem}" for name, problem in problems.items()])
    return loaded


def _line(fields: dict[str, FieldInfo], problem: Any) -> str:
    name = str(problem["loc"][0])
    message = re.sub("^Value error, |^Input ", "", problem["msg"]).replace("should be", "must be")
    message = "is required" if problem["type"] == "missing" else message
    return f"{name.upper()}: {message}, for example {fields[name].examples[0]}"  # type: ignore[index]


def fail(lines: list[str]) -> NoReturn:
    """Write these lines to standard error and exit with 2."""
    if sys.stderr is not None:  # None if closed
        sys.stderr.write("".join(f"{printable(line)}\n" for line in lines))
    sys.exit(ExitCode.CONFIGURATION)


def say(text: str, *, safe: bool = False) -> None:
    """Write a text to standard output, now; characters that its encoding lacks are replaced.

    What could act on a terminal is written out, unless `text` is `safe`: its colours are our own, the rest is written
    out already.

    A reader who left (`| head`) is no error. Exits with 1 for any other, such as a full disk.
    """
    if sys.stdout is None:  # closed
        return
    encoding, text = sys.stdout.encoding, text if safe else printable(text, "\n\t")
    try:
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            sys.exit(f"standard output cannot be written: {error.strerror}")


def utf8() -> bool:
    """Whether standard output takes more than ASCII."""
    return sys.stdout is not None and sys.stdout.encoding.lower().replace("-", "") == "utf8"


PREFIXES = ("MQ_", "PRODUCER_", "CONSUMER_")  # other settings share their prefixes with other programs
OF_KUBERNETES = re.compile("_(SERVICE|PORT)(_|$)")  # set in a pod for a Service with such a name


def unknown(known: Iterable[str], names: Iterable[str] = os.environ) -> dict[str, str]:
    """The `names` that have a prefix of the `known` settings and are no setting, each with the setting most like it.

    An empty text: none is similar. The settings of the other service, which may share the environment, do not count.
    """
    settings = {name.upper() for name in known}
    prefixes = tuple(prefix for prefix in PREFIXES if any(name.startswith(prefix) for name in settings))
    strange = [name for name in names if name.upper().startswith(prefixes) and name.upper() not in settings]
    return {
        name: next(iter(get_close_matches(name.upper(), settings, n=1, cutoff=0.8)), "")
        for name in sorted(strange)
        if not OF_KUBERNETES.search(name)
    }
