"""Benchmarks of zsr against a plain pipe and against its peers in the same session. Not shipped."""
