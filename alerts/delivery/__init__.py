"""From a notice to a target: pipeline, outbox, worker, store."""
