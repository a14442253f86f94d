"""What a plugin may import: the protocols, the status and the codec of events."""
