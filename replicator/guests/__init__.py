"""Guests: moves to another node, recovery from replicas, drills, and how a guest is started and stopped."""
