"""The files of a guest that this node takes over: remembered until they are in place, and printed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import click

from replicator.cli.context import open_state, store
from replicator.cli.output import local_time
from replicator.config.settings import Settings
from replicator.errors import BusyError, ZsrError
from replicator.guests import power
from replicator.guests.file_placing import Placed
from replicator.guests.recovery import Unfinished
from replicator.guests.taken_files import TakenFile, put_in_place
from replicator.models import Guest, GuestId
from replicator.replication.file_keeper import guest_files_of
from replicator.replication.restore_points import Replicas, heads
from replicator.state.pending_files import FilesOfSet
from replicator.zfs.client import ZfsClient


def files_of(left: Sequence[Unfinished], guest: Guest) -> FilesOfSet | None:
    """Return the files that go with the replicas of a guest on this node; None if there are no replicas or files."""
    if not left or not guest.files:
        return None
    job, replicas, at = left[0].job, left[0].replicas, left[0].set_time
    whole = at if at is not None else heads(job, Replicas({each.name: each for each in replicas})).whole
    former = replicas[0].source or ""
    return None if whole is None else FilesOfSet(guest.epoch, str(job), whole, former, chosen=at is not None)


def pending_files(node: Settings, guest: Guest) -> FilesOfSet | None:
    """Return the set and files that an earlier command was to give a guest; None also where that cannot be read."""
    try:
        with open_state(node) as state:
            found = state.files.get(guest.id, guest.epoch)
    except ZsrError as error:
        click.echo(f"What an earlier command was still to do for guest {guest.id} is not known: {error}", err=True)
        return None
    return found if found is not None and (guest.files or found.chosen) else None


def note_files(node: Settings, guest_id: GuestId, files: FilesOfSet | None) -> None:
    """Remember what is to be put in place, so that the same command goes on after a kill; None: all is done."""
    try:
        with open_state(node) as state:
            state.files.put(guest_id, files)
    except ZsrError as error:
        click.echo(f"The set and the files that guest {guest_id} gets were not recorded: {error}", err=True)


async def place_files(node: Settings, guest_id: GuestId, files: FilesOfSet, here: ZfsClient) -> None:
    """Put the files of a guest in place on this node, and print what was done.

    Raises:
        ZsrError: one could not be put in place, or what runs the guest does not take it. The guest is this node's all
            the same, and is not started.
    """
    guest = (await asyncio.to_thread(store(node).read)).guests[guest_id]
    advice = f"Put right what is in the way, and give the same command again, or zsr guest take {guest_id}."
    try:
        found = await put_in_place(guest, files.job_id, files.set_time, guest_files_of(node), here.host, time.time())
        for each in found:
            click.echo(_described(each, node))
        if there := [each.path for each in found if each.placed is not None]:
            await power.prepare(guest, here.host, there)
    except ZsrError as error:
        text = f"The files of guest {guest_id} are not all in place, and it was not started: {error.what}"
        raise BusyError(text, advice=advice, raw=error.raw) from error
    if failed := [each for each in found if each.error is not None]:
        text = f"{len(failed)} of {len(found)} files of guest {guest_id} are not in place; it was not started."
        raise BusyError(text, advice=advice)
    await asyncio.to_thread(note_files, node, guest_id, None)


def _described(file: TakenFile, node: Settings) -> str:
    if file.error is not None:
        return f"{file.error}"
    if file.read is None or file.placed is None:
        return f"'{file.path}' is not kept in {guest_files_of(node).folder}: bring it from your backup."
    at = local_time(file.read, node.timezone)
    if file.placed is Placed.SAME:
        return f"'{file.path}' of {at} is in place already"
    kept = f"; what was there is '{file.before}' now" if file.before else ""
    return f"'{file.path}' of {at} was put in place{kept}"
