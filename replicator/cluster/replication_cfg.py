"""Reads ``replication.cfg`` of Proxmox VE, which lists the jobs of pvesr. It is never written.

A file that is missing, unreadable or damaged is reported: that a job cannot be read does not show that there is none.
"""

from __future__ import annotations

import re
from pathlib import Path

from replicator.api.pvesr_jobs import PvesrJob, PvesrJobs
from replicator.models import JobId

_HEADER = re.compile(r"(?P<type>[A-Za-z][\w.-]*):\s*(?P<guest>[0-9]+)-(?P<number>[0-9]+)\s*", re.ASCII)
_SMALLEST_GUEST = 100


def read_pvesr_jobs(path: Path) -> PvesrJobs:
    """Return the jobs in a ``replication.cfg``; none on a node without Proxmox VE, which has no folder for it.

    A Proxmox VE node without such a file has no jobs, if its cluster file system is mounted.
    """
    try:
        if not path.parent.is_dir():
            return PvesrJobs()
        if path.exists():
            return parse_pvesr_jobs(path.read_text(errors="replace"), path)
        mounted = (path.parent / ".version").exists()
    except OSError as error:
        return PvesrJobs(problem=f"'{path}' cannot be read: {error.strerror or error}.")
    return PvesrJobs(
        problem=None if mounted else f"'{path.parent}' is there, but not mounted (is pve-cluster running?)."
    )


def parse_pvesr_jobs(text: str, path: Path) -> PvesrJobs:
    """Return the jobs in the text of a ``replication.cfg``; with lines that make no sense there may be others."""
    found: dict[JobId, str] = {}
    strange: list[int] = []
    job: JobId | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#"):
            continue
        if not line.strip():
            job = None
        elif line[0].isspace() and job is not None:
            key, _, value = line.strip().partition(" ")
            if key == "target":
                found[job] = found[job] or value.strip()
        elif (header := _HEADER.fullmatch(line)) is not None:
            job = JobId(int(header["guest"]), int(header["number"]))
            found[job] = ""
        else:
            strange.append(number)
            job = None
    jobs = [PvesrJob(each, target) for each, target in sorted(found.items()) if each.guest >= _SMALLEST_GUEST]
    lines = ", ".join(map(str, strange[:5]))
    problem = f"'{path}' is damaged: line {lines} cannot be read." if strange else None
    return PvesrJobs(tuple(jobs), problem)
