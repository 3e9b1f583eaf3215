"""Both services as processes, the way a user runs them."""
