"""The daemon: schedules runs, watches the cluster, answers on its socket, runs plugins."""
