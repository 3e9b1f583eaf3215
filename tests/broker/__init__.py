"""The code against a real broker."""
