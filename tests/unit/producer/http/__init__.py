"""Twins of producer.http."""
