"""`python -m common.doctor`: what the preflight checks, one by one, for a person; what was found, and what to do."""
