"""`consumer verify`: proves a deployment end to end, and leaves its queue alone."""

from consumer.verify.command import main

__all__ = ["main"]
