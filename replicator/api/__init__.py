"""The API for plugins: the protocols, the status, the codec of events and the counters of notifications."""
