"""Check that replication really happened: runs counted by the daemon, content compared on both pools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from demo.engine import SandboxError
from demo.env import DemoEnv


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: a sentence, and whether it passed."""

    good: bool
    text: str


def judge_runs(jobs: Sequence[Mapping[str, Any]], expected_jobs: int, expected_runs: int) -> list[Finding]:
    """From the daemon's status: every job is there, has run often enough and never failed."""
    findings = [Finding(len(jobs) == expected_jobs, f"the daemon has {len(jobs)} of {expected_jobs} jobs")]
    for job in jobs:
        good, bad = job["runs"]["success"], job["runs"]["failure"]
        words = f"job {job['id']}: {good} good runs ({expected_runs} expected), {bad} failed"
        findings.append(Finding(good >= expected_runs and bad == 0, words))
    return findings


def judge_content(stage: DemoEnv, before: Mapping[str, str]) -> list[Finding]:
    """Each filesystem at its newest common snapshot: equal on both pools and, unlike ``before``, written to since.

    The daemon must have ended: what it would tidy away is being read.
    """
    return [_judge_volume(stage, volume, before[volume]) for volume in stage.volumes]


def _judge_volume(stage: DemoEnv, volume: str, before: str) -> Finding:
    try:
        there = snapshots(stage, stage.replica(volume))
        common = [(guid, name) for guid, name in snapshots(stage, stage.source(volume)).items() if guid in there]
        if not common:
            return Finding(False, f"{volume}: alpha and beta share no snapshot")
        guid, name = common[-1]
        source = stage.sandbox.digest(f"{stage.source(volume)}@{name}")
        replica = stage.sandbox.digest(f"{stage.replica(volume)}@{there[guid]}")
    except SandboxError as error:
        return Finding(False, f"{volume}: {error}")
    if source != replica:
        return Finding(False, f"{volume}: {source[:16]} on alpha, {replica[:16]} on beta at {name}")
    if source == before:
        return Finding(False, f"{volume}: equal on both, but still as it was before the first run")
    return Finding(True, f"{volume}: SHA-256 {source[:16]}… on both pools at {name}")


def snapshots(stage: DemoEnv, dataset: str) -> dict[str, str]:
    """A dataset's own snapshots, oldest first: GUID to name. Raises SandboxError when there is no such dataset."""
    facts: dict[str, dict[str, str]] = {}
    for line in stage.sandbox.zfs("get", "-Hpr", "-o", "name,property,value", "guid,creation", dataset).splitlines():
        name, key, value = line.split("\t")
        owner, at, snapshot = name.partition("@")
        if at and owner == dataset:
            facts.setdefault(snapshot, {})[key] = value
    ordered = sorted(facts, key=lambda snapshot: (int(facts[snapshot]["creation"]), snapshot))
    return {facts[snapshot]["guid"]: snapshot for snapshot in ordered}
