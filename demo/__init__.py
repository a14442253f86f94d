"""A real ZFS on one machine, and the demo that runs on it. The tests use the same environment."""
