"""The five states of a connection."""

from enum import Enum


class State(Enum):
    """From CONNECTING and OPEN a loss leads to BACKING_OFF, and from there, after a delay, to CONNECTING."""

    CLOSED = "closed"
    CONNECTING = "connecting"
    OPEN = "open"
    BACKING_OFF = "backing off"
    CLOSING = "closing"
