"""The structure of common, consumer and producer, held by a machine."""
