"""Plugin: the state of the core as Prometheus metrics over HTTP."""
