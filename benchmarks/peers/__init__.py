"""One program for each client; each answers to the same command line (see peers/contract.py)."""
