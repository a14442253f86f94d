"""The steps of each kind of run, found by running one of each without a fault."""

from __future__ import annotations

import random

from replicator.replication.progress import Step
from tests.lab.node import CommandFailedError
from tests.lab.torture.cases import Kind
from tests.lab.torture.env import TortureEnv
from tests.lab.torture.promises import BrokenError


def passed_steps(env: TortureEnv) -> dict[Kind, list[Step]]:
    """The steps in the order in which they began, for each kind."""
    return {kind: _dry_run(env, kind) for kind in Kind}


def _dry_run(env: TortureEnv, kind: Kind) -> list[Step]:
    """Try twice: a lab node may stop answering by itself, and is restarted for the second try."""
    try:
        return env.dry_run(kind, random.Random(0))
    except (BrokenError, CommandFailedError):
        return env.dry_run(kind, random.Random(0))
