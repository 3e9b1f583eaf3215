"""Unknown: variables that look like settings of ours and are none, such as misspelled ones."""

import os
import re
from collections.abc import Iterable

PREFIXES = ("MQ_", "PRODUCER_", "CONSUMER_")  # the other settings begin as those of other programs do
LINKS = re.compile("_(SERVICE|PORT)(_|$)")  # what Kubernetes sets for a Service that is named so


def unknown(known: Iterable[str], names: Iterable[str] = os.environ) -> dict[str, str]:
    """Those of `names` that begin as some of the `known` do and are none of them: name to the known one most like it.

    The empty text where none is like it. One service knows nothing of the other's, which may be beside its own.
    """
    settings = {name.upper() for name in known}
    prefixes = tuple(prefix for prefix in PREFIXES if any(name.startswith(prefix) for name in settings))
    strange = [name for name in names if name.upper().startswith(prefixes) and name.upper() not in settings]
    return {name: _most_like(name.upper(), settings) for name in sorted(strange) if not LINKS.search(name)}


def _most_like(name: str, settings: Iterable[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - seldom needed

    return next(iter(get_close_matches(name, settings, n=1, cutoff=0.8)), "")
