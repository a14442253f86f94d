"""``python -m tests.monitoring.healthy_fleet``: a day of a healthy, busy fleet, without an alert or a message.

Real daemons on a virtual clock (`tests.support.busy_fleet`), their series before promtool's rule engine with the real
rules, their journals in the real pipeline of notifications. `test_healthy_fleet.py` plays a smaller one, and shows that
a broken promise is seen.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from alerts.notice import NoticeKind, Severity
from tests.support.busy_fleet import play
from tests.support.virtual_fleet import SCRAPE, Fleet

LIMIT = 6 * 3600.0
"""Seconds that promtool may take."""

ASKED_FOR = frozenset({NoticeKind.DIGEST, NoticeKind.HEARTBEAT})
OF_A_FAILED_RUN = frozenset(
    {
        NoticeKind.FAILED,
        NoticeKind.RECOVERED,
        NoticeKind.FLAPPING,
        NoticeKind.TARGET_UNREACHABLE,
        NoticeKind.TARGET_BACK,
    }
)
"""What a target without settings gets of each run that fails, also of two that fail while a node reboots."""


def reports(fleet: Fleet) -> Iterator[str]:
    """What was reported by messages although all is well; ``fleet`` has been played."""
    for notice in fleet.notices["third failure"]:
        if notice.kind not in ASKED_FOR:
            yield f"a message to the quiet target: {notice}"
    for notice in fleet.notices["all"]:
        if notice.kind not in ASKED_FOR | OF_A_FAILED_RUN or notice.severity is Severity.CRITICAL:
            yield f"a message that is of no failed run: {notice}"


def main(arguments: Sequence[str]) -> int:
    """Play it; 1 if anything was reported."""
    parser = argparse.ArgumentParser(prog="python -m tests.monitoring.healthy_fleet", description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    with TemporaryDirectory() as temporary:
        begin = time.monotonic()
        fleet = play(Path(temporary), options.jobs, options.hours, seed=options.seed)
        played = time.monotonic() - begin
        alerts = fleet.series.alerts(Path(temporary), SCRAPE, LIMIT)
    found = [*sorted(alerts), *reports(fleet)]
    known = fleet.world
    sys.stdout.write(
        f"{options.jobs} jobs, {options.hours:g} hours, seed {options.seed}: {known.runs} runs, "
        f"{known.failures} failed, {fleet.starts} starts of daemons, {len(fleet.series.series)} series; "
        f"{played:.0f} s to play, {time.monotonic() - begin - played:.0f} s for the rules\n"
        f"{len(alerts)} alerts, {len(found) - len(alerts)} messages\n" + "".join(f"{line}\n" for line in found)
    )
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
