"""Checks of a broker for the services: `preflight` waits until it can be used, `doctor` shows a person each check."""
