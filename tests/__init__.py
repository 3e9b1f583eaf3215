"""The tests; what they share is in brokers.py, processes.py and conftest.py."""
