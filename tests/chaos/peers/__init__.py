"""The same faults, injected into what people use today: `python -m tests.chaos.peers`."""
