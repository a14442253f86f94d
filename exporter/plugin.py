"""The exporter as a plugin of the core: the entry point, from settings to a server that runs until cancelled."""

from __future__ import annotations

import logging

from exporter.server import load, serving
from exporter.settings import read_settings
from replicator.errors import ConfigError
from replicator.plugins import Core, Problem

log = logging.getLogger(__name__)


class ExporterPlugin:
    """Serves the core's state as Prometheus metrics and as a page. Section ``[exporter]`` of zsr.toml."""

    section = "exporter"

    def check(self, settings: object) -> list[Problem]:
        """All that is wrong with the section; None (absent) is right and means the defaults."""
        found = read_settings(settings)
        return found if isinstance(found, list) else []

    def inspect(self, settings: object) -> list[Problem]:
        """What is wrong with the web configuration; the daemon begins without it, and the exporter is tried again."""
        found = read_settings(settings)
        if isinstance(found, list) or not found.enabled or found.web_config is None:
            return []
        try:
            load(found.web_config)
        except ConfigError as error:
            return [Problem("web_config", repr(str(found.web_config)), str(error))]
        return []

    async def run(self, core: Core, settings: object) -> None:
        """Serve until cancelled; returns at once when ``enabled = false``.

        Raises ConfigError for settings that ``check`` refuses and for an address that cannot be listened on.
        """
        found = read_settings(settings)
        if isinstance(found, list):
            raise ConfigError("; ".join(f"{self.section}.{problem}" for problem in found))
        if not found.enabled:
            log.info("The exporter is switched off (exporter.enabled = false).")
            return
        async with serving(core, found) as server:
            log.info("Metrics are served on %s.", ", ".join(server.urls))
            await server.follow()
