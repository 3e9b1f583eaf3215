"""What both services need to speak AMQP and to be a well-behaved process; nothing else."""
