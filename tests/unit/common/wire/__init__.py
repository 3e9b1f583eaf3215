"""Twins of common.wire."""
