"""From events and status to notices: one message for each cause."""
