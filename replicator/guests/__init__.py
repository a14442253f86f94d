"""Guests that move: recovery from replicas, hand-over to another node, release of what was left, power."""
