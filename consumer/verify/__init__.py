"""`consumer verify`: proves a deployment end to end, and leaves its queue alone."""
