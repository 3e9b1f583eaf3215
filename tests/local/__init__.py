"""The runner for a developer's machine."""
