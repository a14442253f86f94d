"""Where commands run: on this machine or over SSH; and the stream between two processes."""
