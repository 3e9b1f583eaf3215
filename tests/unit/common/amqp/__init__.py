"""Twins of common.amqp."""
