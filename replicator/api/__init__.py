"""The API for plugins: the protocols, the status and the codec of events."""
