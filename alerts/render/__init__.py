"""The content and the layout of messages."""
