"""The exporter as a plugin of the core: the entry point, from settings to a server that runs until cancelled."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from exporter.doctor import CHECK, examine
from exporter.server import load, serving
from exporter.settings import read_settings
from replicator.api.doctor import Line, Visit
from replicator.api.plugin import Core
from replicator.api.problem import Problem
from replicator.errors import ConfigError

SECTION = "exporter"

_log = logging.getLogger("zsr.exporter")


class ExporterPlugin:
    """Serves the core's state as Prometheus metrics and as a page. Section ``[exporter]`` of zsr.toml."""

    sections = (SECTION,)
    doctor_checks = (CHECK,)

    def check(self, sections: Mapping[str, object]) -> list[Problem]:
        """All that is wrong with the section; an absent one is right and means the defaults."""
        found = read_settings(sections.get(SECTION))
        return [replace(problem, key=_key(problem.key)) for problem in found] if isinstance(found, list) else []

    def inspect(self, sections: Mapping[str, object]) -> list[Problem]:
        """What is wrong with the web configuration; the daemon begins without it, and the exporter is tried again."""
        found = read_settings(sections.get(SECTION))
        if isinstance(found, list) or not found.enabled or found.web_config is None:
            return []
        try:
            load(found.web_config)
        except ConfigError as error:
            return [Problem(_key("web_config"), repr(str(found.web_config)), str(error))]
        return []

    async def examine(self, check: str, sections: Mapping[str, object], visit: Visit) -> list[Line]:
        """See `replicator.api.plugin.DoctorPlugin`."""
        found = read_settings(sections.get(SECTION))
        return [] if isinstance(found, list) else await examine(found, visit)

    async def run(self, core: Core, sections: Mapping[str, object]) -> None:
        """Serve until cancelled; returns at once when ``enabled = false``.

        Raises ConfigError for settings that ``check`` refuses and for an address that cannot be listened on.
        """
        found = read_settings(sections.get(SECTION))
        if isinstance(found, list):
            raise ConfigError("; ".join(map(str, self.check(sections))))
        if not found.enabled:
            _log.info("The exporter is switched off (exporter.enabled = false).")
            return
        async with serving(core, found) as server:
            _log.info("Metrics are served on %s.", ", ".join(server.urls))
            await server.follow()


def _key(key: str) -> str:
    return f"{SECTION}.{key}" if key else SECTION
