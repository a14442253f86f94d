"""Plugin: events and state of the core as Prometheus metrics over HTTP."""
