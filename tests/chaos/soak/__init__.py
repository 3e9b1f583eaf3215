"""The soak: whether both services stay as small as they began while their connections are lost all the time."""
