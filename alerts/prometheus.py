"""Asks a Prometheus whether it knows zsr: its rules, its Alertmanager, and this cluster's nodes. Changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml
from aiohttp import ClientError, ClientSession, ClientTimeout

from replicator.api.doctor import Line, Subject
from replicator.errors import NetworkError

MOST_NAMED = 5
"""The most rules that a line names."""
_LONGEST_ANSWER = 32 * 1024 * 1024
_LOAD = "Load all files of alerts/rules (rule_files in prometheus.yml), then reload Prometheus."


@dataclass(frozen=True, slots=True)
class Answers:
    """What a Prometheus says.

    Attributes:
        rules: the error of each rule's last evaluation by its name, empty where it went well.
        alertmanagers: how many it sends alerts to.
        nodes: the nodes whose daemons it has series of.
    """

    rules: Mapping[str, str] = field(default_factory=dict)
    alertmanagers: int = 0
    nodes: frozenset[str] = frozenset()


def own_rules() -> frozenset[str]:
    """Return the names of all rules that come with zsr."""
    found = set()
    for file in files("alerts").joinpath("rules").iterdir():
        if file.name.endswith(".yml"):
            groups = yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
            found |= {rule.get("alert") or rule["record"] for group in groups for rule in group["rules"]}
    return frozenset(found)


def shown(url: str) -> str:
    """Return a URL without user and password."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


async def ask(url: str, limit: float) -> Answers:
    """Return what a Prometheus says; user and password in the URL become basic authentication.

    Raises:
        NetworkError: it does not answer, or is none.
    """
    at = shown(url)
    try:
        async with ClientSession(timeout=ClientTimeout(total=limit), trust_env=True) as session, asyncio.timeout(limit):
            rules = await _get(session, url, "rules")
            managers = await _get(session, url, "alertmanagers")
            nodes = await _get(session, url, "query", query="count by (node) (zsr_node_info)")
        return Answers(
            {str(rule["name"]): str(rule.get("lastError") or "") for each in rules["groups"] for rule in each["rules"]},
            len(managers["activeAlertmanagers"]),
            frozenset(str(each["metric"].get("node", "")) for each in nodes["result"]),
        )
    except TimeoutError:
        why = f"{at} did not answer within {limit:.0f} s."
    except (ClientError, OSError) as error:
        why = f"{at} does not answer: {getattr(error, 'strerror', None) or type(error).__name__}."
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        why = f"{at} is no Prometheus: it answers something else."
    raise NetworkError(why, advice="Check the URL (--prometheus, or doctor.prometheus in zsr.toml).")


async def _get(session: ClientSession, url: str, path: str, **parameters: str) -> Any:
    async with session.get(f"{url.rstrip('/')}/api/v1/{path}", params=parameters) as response:
        if response.status in (401, 403):
            raise NetworkError(
                f"{shown(url)} refuses to answer (HTTP status {response.status}).",
                advice="Give user and password in the URL: https://USER:PASSWORD@HOST",
            )
        if response.status != 200:
            raise ValueError(response.status)
        body = await response.content.read(_LONGEST_ANSWER)
        while not response.content.at_eof() and len(body) < _LONGEST_ANSWER:
            body += await response.content.read(_LONGEST_ANSWER - len(body))
    return json.loads(body)["data"]


def rule_lines(subject: Subject, at: str, found: Answers, wanted: Iterable[str]) -> list[Line]:
    """Return the lines about the rules that a Prometheus has loaded; ``at``: its URL, as it may be shown."""
    every = set(wanted)
    missing = sorted(every - found.rules.keys())
    if missing == sorted(every):
        return [subject.fail(f"{at} has loaded none of zsr's {len(every)} rules.", _LOAD)]
    lines = []
    if missing:
        text = f"{at} lacks {len(missing)} of zsr's {len(every)} rules: {_few(missing)}."
        lines.append(subject.warn(text, _LOAD))
    if broken := sorted(name for name in every & found.rules.keys() if found.rules[name]):
        text = f"{at} cannot evaluate {_few(broken)}: {found.rules[broken[0]]}"
        lines.append(subject.fail(text, "Compare its rules with those in alerts/rules of this version."))
    if not found.alertmanagers:
        text = f"{at} sends its alerts to no Alertmanager, so they reach nobody."
        lines.append(subject.warn(text, "Add alerting.alertmanagers to prometheus.yml."))
    return lines or [subject.ok(f"{at} has loaded all {len(every)} rules of zsr, and has an Alertmanager.")]


def scrape_line(subject: Subject, at: str, found: Answers) -> Line:
    """Return the line about this node's series in a Prometheus."""
    if subject.node in found.nodes:
        return subject.ok(f"{at} has the metrics of this node, and of {len(found.nodes) - 1} others.")
    known = f"it has those of {_few(sorted(found.nodes))}" if found.nodes else "it has those of no node at all"
    text = f"{at} has no metrics of this node; {known}."
    return subject.fail(text, "Add this node to its scrape targets, under the job name zsr (docs/metrics.md).")


def _few(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}"
