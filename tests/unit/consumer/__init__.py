"""The twins of `consumer`."""
