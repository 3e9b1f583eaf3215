"""What a user's own code does with pika, as cases whose results are compared between processes.

Nothing here imports anything of ours, which the process may have imported before, or not.
"""
