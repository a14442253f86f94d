"""The settings of this node (``zsr.toml``), checked as a whole."""
