"""A failing case becomes a small one that fails in the same way: fewer steps, then a simpler configuration. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tests.lab.fuzz.configuration import Configuration, GuestPlan, JobPlan, VolumePlan
from tests.lab.fuzz.steps import Step

Fails = Callable[[Configuration, Sequence[Step]], bool]
"""Plays a case; whether it breaks the same law. It may refuse to play more, and says False then."""


def shrink(configuration: Configuration, steps: Sequence[Step], fails: Fails) -> tuple[Configuration, list[Step]]:
    """Return the smallest case that was found; the given one if none smaller fails."""
    left = without_steps(configuration, list(steps), fails)
    configuration = simplified(configuration, left, fails)
    return configuration, without_steps(configuration, left, fails)


def without_steps(configuration: Configuration, steps: list[Step], fails: Fails) -> list[Step]:
    """Drop runs of steps, the long ones first, from the end to the beginning."""
    size = max(1, len(steps) // 2)
    while True:
        at = len(steps)
        while at > 0:
            begin = max(0, at - size)
            fewer = steps[:begin] + steps[at:]
            if len(fewer) < len(steps) and fails(configuration, fewer):
                steps = fewer
            at = begin
        if size == 1:
            return steps
        size //= 2


def simplified(configuration: Configuration, steps: Sequence[Step], fails: Fails) -> Configuration:
    """Take the first simpler configuration that fails too, again and again until none does."""
    while True:
        found = next((each for each in simpler(configuration) if fails(each, steps)), None)
        if found is None:
            return configuration
        configuration = found


def simpler(configuration: Configuration) -> Iterator[Configuration]:
    """Configurations with one part less, the greatest parts first."""
    if configuration.second:
        yield replace(configuration, second=(), second_jobs=())
    for node in configuration.sources():
        guests, jobs = configuration.of(node)
        for guest in guests if len(guests) > 1 else ():
            yield _without_guest(configuration, node, guest)
        for job in jobs if len(jobs) > 1 else ():
            yield configuration.with_jobs(node, tuple(each for each in jobs if each is not job))
        for guest in guests:
            for plain in _plainer_guests(guest):
                yield configuration.with_guest(node, plain)
        for job in jobs:
            for easy in _plainer_jobs(job):
                yield configuration.with_jobs(node, tuple(easy if each is job else each for each in jobs))
    if configuration.layout != "one" and not any(v.storage != "data" for v in _volumes(configuration)):
        yield replace(configuration, layout="one")
    if not configuration.bookmarks:
        yield replace(configuration, bookmarks=True)


def _without_guest(configuration: Configuration, node: str, guest: GuestPlan) -> Configuration:
    guests, jobs = configuration.of(node)
    left = configuration.with_jobs(node, tuple(each for each in jobs if each.guest != guest.id))
    others = tuple(each for each in guests if each is not guest)
    return replace(left, guests=others) if node == "alpha" else replace(left, second=others)


def _plainer_guests(guest: GuestPlan) -> Iterator[GuestPlan]:
    for volume in guest.volumes if len(guest.volumes) > 1 else ():
        yield replace(guest, volumes=tuple(each for each in guest.volumes if each is not volume))
    if guest.hooks:
        yield replace(guest, hooks="")
    if guest.listed:
        yield replace(guest, listed=False)
    for index, volume in enumerate(guest.volumes):
        for plain in (replace(volume, encrypted=False), replace(volume, child=False)):
            if plain != volume:
                yield replace(guest, volumes=(*guest.volumes[:index], plain, *guest.volumes[index + 1 :]))


def _plainer_jobs(job: JobPlan) -> Iterator[JobPlan]:
    default = JobPlan(job.guest, job.number, job.target)
    for key in ("adopted", "foreign", "encryption", "snapshots", "keep", "grace"):
        if getattr(job, key) != getattr(default, key):
            yield replace(job, **{key: getattr(default, key)})


def _volumes(configuration: Configuration) -> Iterator[VolumePlan]:
    for node in configuration.sources():
        for guest in configuration.of(node)[0]:
            yield from guest.volumes
