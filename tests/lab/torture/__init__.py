"""The crash matrix: a real job between two real nodes, with a fault at every step of its runs."""
