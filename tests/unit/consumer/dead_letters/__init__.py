"""Twins of the modules of consumer/dead_letters."""
