"""The twins of `common`."""
