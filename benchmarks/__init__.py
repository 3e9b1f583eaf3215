"""The two services measured beside other clients, in one run: `python -m benchmarks`."""
