"""The doctor, module by module."""
