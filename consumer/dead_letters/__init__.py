"""`consumer dead-letters`: list, show, replay and purge the messages of the dead-letter queue."""
