"""What is shipped, on a real systemd."""
