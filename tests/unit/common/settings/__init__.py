"""Twins of common.settings."""
