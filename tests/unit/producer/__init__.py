"""The twins of `producer`."""
