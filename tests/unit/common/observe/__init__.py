"""Twins of common.observe."""
