"""The HTTP source: messages that other programs post."""
