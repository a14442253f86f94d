"""Prometheus and Alertmanager for zsr: their settings, and the command lines that start them.

Debian's packages ``prometheus`` and ``prometheus-alertmanager``. Who starts them decides where: on this machine
(`demo.servers`), or in the lab's network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from replicator.common.durations import parse_duration

ALERTS = Path(__file__).parents[1] / "alerts"
ALERTMANAGER_EXAMPLE = ALERTS / "alertmanager" / "alertmanager.yml"


def shipped_rules() -> list[Path]:
    """The rule files that zsr comes with."""
    return sorted(path for path in (ALERTS / "rules").glob("*.yml") if not path.stem.endswith("_test"))


def hurried(rules: Mapping[str, Any], *, interval: str, times: int) -> dict[str, Any]:
    """A rule file made quick for a trial, with every expression as it is.

    Args:
        rules: the file's content.
        interval: instead of the groups' own; evaluations that come faster change no expression's meaning.
        times: each ``for`` and ``keep_firing_for`` is divided by this, so that what waits longer still does: with 60,
            minutes become seconds.
    """
    return {
        **rules,
        "groups": [
            {**group, "interval": interval, "rules": [_hurried_rule(rule, times) for rule in group["rules"]]}
            for group in rules["groups"]
        ],
    }


def _hurried_rule(rule: Mapping[str, Any], times: int) -> dict[str, Any]:
    return {
        key: f"{parse_duration(value) * 1000 / times:.0f}ms" if key in ("for", "keep_firing_for") else value
        for key, value in rule.items()
    }


def prometheus_settings(
    targets: Sequence[str],
    *,
    rules: Sequence[Path] = (),
    interval: str = "1s",
    job: str = "zsr",
    scrape: Mapping[str, object] | None = None,
    alertmanagers: Sequence[str] = (),
) -> dict[str, Any]:
    """What goes into prometheus.yml: ``host:port`` targets, scraped and judged by rule files every ``interval``.

    ``scrape``: further settings of its one scrape job.
    """
    its_targets = [{"targets": list(targets)}] if targets else []
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [str(path.resolve()) for path in rules],
        "scrape_configs": [{"job_name": job, "static_configs": its_targets, **(scrape or {})}],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]},
    }


def prometheus_command(program: str, directory: Path, settings: Mapping[str, Any], listen: str) -> list[str]:
    """Write the settings into a directory; the command line of a Prometheus that has its data there too."""
    return _command(program, directory, "prometheus", settings, listen, "--storage.tsdb.path")


def alertmanager_settings(
    *, webhook: str | None = None, mail: Mapping[str, Any] | None = None, wait: str = "1s"
) -> dict[str, Any]:
    """What goes into alertmanager.yml: everything to one receiver, with zsr's own inhibitions.

    The alert that always fires goes to nobody.

    Args:
        webhook: the URL to which alerts are posted.
        mail: an ``email_configs`` entry.
        wait: how long alerts are collected for one message.
    """
    receiver: dict[str, Any] = {"name": "admin"}
    if webhook is not None:
        receiver["webhook_configs"] = [{"url": webhook, "send_resolved": True}]
    if mail is not None:
        receiver["email_configs"] = [{**mail, "send_resolved": True}]
    return {
        "route": {
            "receiver": "admin",
            "group_by": ["alertname"],
            "group_wait": wait,
            "group_interval": wait,
            "repeat_interval": "4h",
            "routes": [{"matchers": ['alertname="ZsrWatchdog"'], "receiver": "outside-watcher"}],
        },
        "receivers": [receiver, {"name": "outside-watcher"}],
        "inhibit_rules": _shipped_inhibitions(),
    }


def _shipped_inhibitions() -> list[Any]:
    if not ALERTMANAGER_EXAMPLE.exists():
        return []
    return list(yaml.safe_load(ALERTMANAGER_EXAMPLE.read_text())["inhibit_rules"])


def alertmanager_command(program: str, directory: Path, settings: Mapping[str, Any], listen: str) -> list[str]:
    """Write the settings into a directory; the command line of an Alertmanager that has its data there too."""
    command = _command(program, directory, "alertmanager", settings, listen, "--storage.path")
    return [*command, "--cluster.listen-address="]  # alone: no second port


def _command(
    program: str, directory: Path, name: str, settings: Mapping[str, Any], listen: str, storage: str
) -> list[str]:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{name}.yml"
    file.write_text(yaml.safe_dump(dict(settings)))
    return [program, f"--config.file={file}", f"{storage}={directory / name}", f"--web.listen-address={listen}"]
