"""Tools for developers in a checkout; not shipped."""
