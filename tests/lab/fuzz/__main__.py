"""``python -m tests.lab.fuzz [N]``: N steps in drawn configurations on a lab node; a failing case is printed as a test.

Settings (environment): SEED (of the first case; the others follow), STEPS (of a case), SHRINK (seconds for each failing
case), MOST (failing cases after which it ends), MODEL (1: in memory, without a lab and without real ZFS).
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.lab.fuzz.campaign import Driver, campaign, described, smaller
from tests.lab.lab import Lab


def say(line: str) -> None:
    """Write a line at once, also into a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Play; exit status 1 if a law is broken."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6) * 1000)
    each = int(os.environ.get("STEPS") or "24")
    most = int(os.environ.get("MOST") or "5")
    lab, driver = Lab(f"zsr-fuzz-{os.getpid()}"), Driver.in_memory(Path(tempfile.mkdtemp()) / "fuzz")
    in_memory = bool(os.environ.get("MODEL"))
    found = 0
    try:
        if not in_memory:
            lab.up(1)
            driver = Driver.on(lab.node(1))
        began = time.monotonic()
        say(f"{count} steps, seeds from {seed}")
        for outcome in campaign(driver, seed, count, each, say):
            found += 1
            small = smaller(driver, outcome, float(os.environ.get("SHRINK") or "240"))
            say(described(small))
            if found >= most:
                break
        say(f"{found} failing cases in {time.monotonic() - began:.0f} s")
    finally:
        driver.end()
        if not in_memory:
            lab.down()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
