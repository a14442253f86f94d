"""Drawn configurations and steps on one lab node, and the laws that must hold after each run."""
