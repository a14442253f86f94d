"""Builders, fakes and servers that several tests use."""
