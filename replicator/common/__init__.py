"""Small tools without any knowledge of replication."""
