"""The steps of each kind of run, found by running one of each without a fault."""

from __future__ import annotations

import random

from replicator.replication.progress import Step
from tests.lab.torture.cases import Kind
from tests.lab.torture.env import TortureEnv


def passed_steps(env: TortureEnv) -> dict[Kind, list[Step]]:
    """The steps in the order in which they began, for each kind."""
    return {kind: env.dry_run(kind, random.Random(0)) for kind in Kind}
