"""The consumer: takes messages from a RabbitMQ queue and hands them to a handler."""
