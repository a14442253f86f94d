"""A healthy, busy fleet and its day: everything that happens where nothing is wrong, on a virtual clock.

Daemons are restarted and upgraded, clocks are set, a node reboots within its promises, jobs are created, removed and
moved, guests idle, runs fail once and recover, and the clocks are put back in the night.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from replicator.job_choices import Removal
from replicator.models import Guest, GuestId, Job, JobId
from tests.support.virtual_fleet import Fleet, played
from tests.support.virtual_loop import VirtualLoop
from tests.support.virtual_world import World

WINTER = datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp()
"""When the clocks of Vienna are put back; half of each story is before it."""

NODES = ("alpha", "beta", "gamma", "delta")
QUARTERS = "*/15 UTC"
SCHEDULES = (*[QUARTERS] * 4, "hourly UTC", "*/30 UTC", "*/5 UTC", QUARTERS, "02:30", QUARTERS)
"""With UTC, as docs/calendar.md advises: in local time `*/15` has a gap of 75 minutes in that night."""

FIRST_COPY = 2400.0
"""Seconds of the first copy of the job that is created."""

Story = Callable[[Fleet, float], Coroutine[Any, Any, None]]


def world(jobs: int, begin: float, seed: int) -> World:
    """So many jobs between the nodes, one in four of them the second job of its guest; each fifth guest idles."""
    dice = random.Random(seed)
    found = World(lambda: begin, nodes=NODES if jobs > 40 else NODES[:3])
    for number in range(jobs):
        guest, second = 100 + number - number // 4, number % 4 == 3
        guest -= second
        home = guest % len(found.nodes)
        found.guests.setdefault(guest, Guest(guest, f"guest-{guest}", found.nodes[home]))
        job = JobId(guest, int(second))
        schedule = SCHEDULES[number % len(SCHEDULES)]
        target = found.nodes[(home + 1 + second) % len(found.nodes)]
        found.jobs[job] = Job(job, target, schedule, rpo=1500.0 if schedule == "*/5 UTC" else None)
    found.idle = set(dice.sample(sorted(found.guests), len(found.guests) // 5))
    seconds = {job: dice.uniform(2.0, 18.0) for job in found.jobs}
    found.seconds = lambda job: seconds.get(job, 10.0)
    found.first_seconds = lambda job: FIRST_COPY if job.guest >= 900 else 20.0
    return found


@dataclass(frozen=True, slots=True)
class _Day:
    """A story on its way; ``mover`` is a guest of the first node."""

    fleet: Fleet
    seconds: float
    begin: float
    mover: GuestId
    dice: random.Random

    async def at(self, part: float) -> None:
        """Wait for a part of the time."""
        await asyncio.sleep(max(0.0, self.begin + part * self.seconds - asyncio.get_running_loop().time()))

    def fail_once(self) -> None:
        """Let the next run of one job in ten fail."""
        jobs = self.fleet.world.jobs
        self.fleet.world.faults |= set(self.dice.sample(sorted(jobs), len(jobs) // 10 or 1))

    async def evening(self) -> None:
        """Failures, a restart, a clock that is set, a new job, a reboot, a move."""
        found, (alpha, beta, gamma) = self.fleet.world, self.fleet.world.nodes[:3]
        await self.at(0.20)
        self.fail_once()
        await self.at(0.26)
        await self.fleet.restart(alpha, 20)
        await self.at(0.30)
        found.steps[beta] += 12
        found.guests[900] = Guest(900, "new", alpha)
        found.jobs[JobId(900, 0)] = Job(JobId(900, 0), beta, QUARTERS)
        self.fleet.write()
        await self.at(0.42)
        await self.fleet.reboot(gamma, 240)
        await self.at(0.47)
        found.move(self.mover, beta)
        self.fleet.write()

    async def morning(self) -> None:
        """An upgrade, a clock that is set back, failures, a removal, the move back, a restart."""
        found, (alpha, beta) = self.fleet.world, self.fleet.world.nodes[:2]
        await self.at(0.56)
        for node in found.nodes:
            await self.fleet.restart(node, 15)
            await asyncio.sleep(120)
        await self.at(0.65)
        found.steps[beta] -= 25
        await self.at(0.70)
        self.fail_once()
        await self.at(0.78)
        last = max(job for job in found.jobs if job.guest < 900)
        found.jobs[last] = replace(found.jobs[last], removal=Removal.FULL)
        self.fleet.write()
        await self.at(0.82)
        found.move(self.mover, alpha)
        self.fleet.write()
        await self.at(0.90)
        await self.fleet.restart(beta, 45)


async def day(fleet: Fleet, seconds: float) -> None:
    """All that happens, each at its part of the time."""
    found = fleet.world
    mover = next(guest.id for guest in found.guests.values() if guest.node == found.nodes[0])
    story = _Day(fleet, seconds, asyncio.get_running_loop().time(), mover, random.Random(len(found.jobs)))
    await story.evening()
    await story.morning()


def play(folder: Path, jobs: int, hours: float, *, seed: int = 1, story: Story = day) -> Fleet:
    """Play the fleet for so long, and return what was seen of it."""
    seconds = hours * 3600.0
    begin = WINTER - seconds / 2
    known = world(jobs, begin, seed)
    fleet = Fleet(known, folder, begin)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        known.clock = lambda: begin + loop.time()
        with played(known):
            runner.run(fleet.play(seconds, lambda fleet: story(fleet, seconds)))
    return fleet
