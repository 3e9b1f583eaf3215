"""The verification, module by module."""
