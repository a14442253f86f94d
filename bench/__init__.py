"""What zsr costs, measured against a pipe made by hand and against its peers in the same session. It is not shipped."""
