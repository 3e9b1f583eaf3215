"""AMQP: the connection that is kept open, what is published and waits for its confirm, and the queues."""
