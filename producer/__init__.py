"""The producer: takes messages from a source and puts them on a RabbitMQ queue."""
