"""The stage: a real ZFS on one machine, and the demo that is played on it. The tests use the same stage."""
