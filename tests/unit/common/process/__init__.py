"""Twins of common.process."""
