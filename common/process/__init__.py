"""The process: its loop, signals, deadline and exit."""
