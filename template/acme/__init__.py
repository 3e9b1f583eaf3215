"""Orders: published by a source, shipped by a handler."""
