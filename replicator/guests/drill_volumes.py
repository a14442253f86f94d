"""The checks of a drill, one volume after the other, on the node that has the clones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from replicator.errors import ConfigError, DeadlineError, ZfsError
from replicator.guests.drill_checks import (
    KILLED,
    TIMED_OUT,
    Finding,
    Part,
    checked,
    disk_of,
    environment,
    quoted,
    read,
    why_read,
)
from replicator.guests.drill_clones import clone_place
from replicator.guests.drill_scripts import bounded, check_part, own_check, probe, read_folder, read_part
from replicator.guests.drill_sets import Cloned, DrillSet
from replicator.hosts.configured_commands import run_configured
from replicator.hosts.host import Completed
from replicator.models import Guest, JobId
from replicator.replication.progress import Log
from replicator.zfs import commands, output
from replicator.zfs.client import ZfsClient

SLACK_SECONDS = 30.0
"""Seconds that a command may take longer than the limit that the target itself keeps."""
PROBE_SECONDS = 120.0
"""The longest that looking into one disk may take."""
NOT_ALLOWED = ("permission denied", "operation not permitted", "superuser")
"""What is said where the login may not mount, which says nothing of the filesystem."""


@dataclass(frozen=True, slots=True)
class VolumeChecks:
    """Checks the clones of a set until ``deadline``, in seconds of ``clock``."""

    job: JobId
    guest: Guest
    source: str
    target: ZfsClient
    clock: Callable[[], float]
    deadline: float
    log: Log

    async def check(self, chosen: DrillSet) -> list[Finding]:
        """Return what was found: by the guest's own check, or in each volume.

        Raises:
            DeadlineError: a check did not end in time, and was ended. ZsrError: it could not be done.
        """
        mounts = [await self._mount(each) for each in chosen.volumes if not each.replica.is_volume]
        if unfit := [finding for finding in mounts if finding is not None]:
            return self._said(unfit)
        if self.guest.check is not None:
            return self._said([await self._own(chosen, self.guest.check)])
        found: list[Finding] = []
        for each in chosen.volumes:
            found += self._said(await (self._disk(each) if each.replica.is_volume else self._folder(each)))
        return found

    def _said(self, found: list[Finding]) -> list[Finding]:
        for finding in found:
            self.log("error" if finding.is_damaged else "info", str(finding))
        return found

    async def _own(self, chosen: DrillSet, command: str) -> Finding:
        clones = [(each.volume, each.clone, clone_place(each)) for each in chosen.volumes]
        given = [*environment(self.guest.id, str(self.job), self.target.node, chosen.time, clones)]
        done = await self._run(own_check(command, given))
        for line in done.stdout.splitlines()[-20:]:
            self.log("info", f"check: {line}")
        if done.ok:
            return Finding(f"guest {self.guest.id}", "its own check succeeded")
        text = f"its own check failed: {quoted(done.stdout, done.status)}"
        return Finding(f"guest {self.guest.id}", text, is_damaged=True)

    async def _mount(self, each: Cloned) -> Finding | None:
        """Mount a filesystem's clone; return what is wrong with it if that fails."""
        done = await self.target.host.run(commands.mount(each.clone), limit=PROBE_SECONDS)
        [look] = commands.mount_state([each.clone])
        now = await self.target.host.run(look, limit=PROBE_SECONDS)
        if output.values_by_name(now.stdout).get(each.clone, {}).get("mounted") == "yes":
            return None
        said = quoted(done.stderr, done.status)
        if any(words in done.stderr.lower() for words in NOT_ALLOWED):
            raise ConfigError(
                f"The clone of {each.volume} on {self.target.node} cannot be mounted: {said}.",
                node=self.target.node,
                advice="zsr's login there must be allowed to mount; root is.",
            )
        return Finding(each.volume, f"cannot be mounted: {said}", is_damaged=True)

    async def _folder(self, each: Cloned) -> list[Finding]:
        done = self._not_killed(await self._run(read_folder(clone_place(each))))
        if done.ok:
            return [Finding(each.volume, f"mounted read-only, {done.stdout.strip()} files read to their end")]
        return [Finding(each.volume, f"cannot be read: {quoted(done.stdout, done.status)}", is_damaged=True)]

    async def _disk(self, each: Cloned) -> list[Finding]:
        looked = await self.target.host.run(probe(each.clone), limit=PROBE_SECONDS)
        disk = disk_of(looked.stdout)
        if not disk.device or not disk.parts:
            raise ConfigError(
                f"'{each.clone}' on {self.target.node} has no device that can be read: {looked.stderr.strip() or '-'}.",
                node=self.target.node,
                advice="Check that udev runs there, and that zsr's login may read below /dev/zvol.",
            )
        for program in disk.missing:
            self.log("warning", f"{self.target.node} has no '{program}', so filesystems in disks are not found")
        return [await self._part(each.volume, disk.device, part) for part in disk.parts]

    async def _part(self, volume: str, device: str, part: Part) -> Finding:
        status, said, program = None, "", part.program
        if program is not None:
            done = await self._run(check_part(device, part.offset, part.length, program.argv))
            status, said = done.status, done.stdout
            if (finding := checked(volume, part, program, status, said)) is not None:
                return finding
        done = self._not_killed(await self._run(read_part(device, part.offset, part.length)))
        return read(volume, part, done.status, done.stdout, why_read(part, status, said))

    def _not_killed(self, done: Completed) -> Completed:
        """Return the end of a program that read; raises ZfsError if it was killed, which says nothing of the data."""
        if done.status > KILLED:
            raise ZfsError(f"Reading a clone on {self.target.node} was ended by a signal.", node=self.target.node)
        return done

    async def _run(self, argv: Sequence[str]) -> Completed:
        """Run a check for the time that is left; its output, errors included, is in ``stdout``.

        Raises:
            DeadlineError: it did not end in time. ZsrError: it could not be run.
        """
        limit = max(1.0, self.deadline - self.clock())
        command = bounded(argv, self.job, self.source, limit)
        done = await run_configured(self.target.host, command, limit=limit + SLACK_SECONDS)
        if done.status in TIMED_OUT and self.clock() >= self.deadline - 1.0:
            raise DeadlineError(f"A check on {self.target.node} was ended.", node=self.target.node)
        return done
