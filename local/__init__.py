"""The developer's runner: the pair on this machine, with Docker or without. The services never import it."""

SERVICES = ("producer", "consumer")


class Failure(Exception):  # noqa: N818 - it is printed as one line, never shown as a traceback
    """Something on this machine that a person can mend; the text says what and how."""
