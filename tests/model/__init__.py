"""An explicit-state model of the protocol by which guests move between nodes."""
