"""A cluster file as a person writes it, and the same in other layouts of TOML."""

from __future__ import annotations

from replicator.models import JobId

NOW = 1_800_000_000.0
JOB = JobId(100, 0)
HAND_WRITTEN = """\
# Our two nodes.
[nodes.alpha]
address = "10.0.0.11"   # the left one

[nodes.beta]
address = "10.0.0.12"

[nodes.gamma]
address = "10.0.0.13"

[storages.local-zfs]
path = "rpool/data"

[guests.100]
name = "web"
node = "alpha"

# every quarter of an hour is enough
[jobs.100-0]
comment = "off site"   # ask Ann
target = "beta"
rpo = "30m"
"""
NODES = HAND_WRITTEN[: HAND_WRITTEN.index("# every quarter")]
LAYOUTS = {
    "tables": HAND_WRITTEN,
    "a table of inline tables": f'{NODES}\n[jobs]\n100-0 = {{ target = "beta", rpo = "30m" }}\n',
    "all inline": f'jobs = {{ 100-0 = {{ target = "beta", rpo = "30m" }} }}\n{NODES}',
    "dotted keys": f'{NODES}\n[jobs]\n100-0.target = "beta"\n100-0.rpo = "30m"\n',
    "quoted": f'{NODES}\n[jobs."100-0"]\ntarget = "beta"\nrpo = "30m"\n',
    "a parent table": f'{NODES}\n[jobs]\n\n[jobs.100-0]\ntarget = "beta"\nrpo = "30m"\n',
    "jobs first": f'[jobs.100-0]\ntarget = "beta"\nrpo = "30m"\n\n{NODES}',
    "guests between the jobs": (
        f'{NODES}\n[jobs.100-0]\ntarget = "beta"\nrpo = "30m"\n\n[guests.101]\nnode = "alpha"\n\n'
        '[jobs.101-0]\ntarget = "beta"\n'
    ),
    "lines end as on Windows": HAND_WRITTEN.replace("\n", "\r\n"),
    "no end of line": HAND_WRITTEN.rstrip(),
}
