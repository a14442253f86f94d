"""The only package that knows the zfs command line, its output and its errors."""
