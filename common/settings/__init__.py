"""Settings: from flags and the environment to one frozen object."""
