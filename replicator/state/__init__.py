"""The database ``state.db``: job states, runs, journal, logs, plugins' values; and the locks of guests."""
