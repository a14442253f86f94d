"""From notices to sent messages: the pipeline, its workers, the outbox and the stored state."""
