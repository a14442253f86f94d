"""The words of a notice: what is said of it, and how that is laid out as plain text, Markdown and HTML."""
