"""The core of zsr: jobs, time, ZFS and hosts. It imports nothing from exporter, alerts or grafana."""

__version__ = "0.2.0"
