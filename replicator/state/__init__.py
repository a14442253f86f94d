"""The database ``state.db``: job states, runs, journal, logs, hooks, plugins' values; and the locks of guests."""
