"""The only room that knows the zfs command line, its output and its errors. All but `client` is pure."""
