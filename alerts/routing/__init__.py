"""Which target gets a notice, and when."""
