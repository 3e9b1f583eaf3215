"""Both services under load while something breaks, and an account of every message afterwards."""
