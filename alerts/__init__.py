"""Plugin: events of the core as notifications through apprise; also the Prometheus rules and runbooks."""
