"""Hosts: run a command on this machine or over SSH; stream between two processes."""
