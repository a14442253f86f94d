"""The ids of guests and jobs: what they look like, and how they are ordered. Pure.

A guest is a number, as Proxmox VE gives it, or the name of a group of volumes that are listed by hand
(``[groups.NAME]``). A name begins with a letter and has no hyphen, so that no id can be read in two ways: the one
hyphen of a job's id is before its number, and the colon of an observed job's id is in no name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from replicator.display import shortened
from replicator.errors import ConfigError

LONGEST_GROUP = 32
"""Characters of a group's name: the names of its snapshots have to fit behind those of its datasets."""

HIGHEST_GUEST = 999_999_999
"""The highest number of a guest, as Proxmox VE has it."""

_LONGEST_SHOWN = 80

_NUMBER = r"[1-9][0-9]{2,8}"
_GROUP = rf"[a-z][a-z0-9_]{{0,{LONGEST_GROUP - 1}}}"
GUEST_PATTERN = rf"(?:{_NUMBER}|{_GROUP})"
JOB_PATTERN = rf"{GUEST_PATTERN}-[0-9]{{1,9}}"
"""The id of a job that zsr runs, in a name; ASCII."""

_GUEST_NUMBER = re.compile(_NUMBER, re.ASCII)
_GROUP_NAME = re.compile(_GROUP, re.ASCII)
_JOB_ID = re.compile(rf"(?P<guest>{GUEST_PATTERN})-(?P<number>[0-9]{{1,9}})", re.ASCII)
_NUMBERED = re.compile(rf"(?P<guest>{_NUMBER})-(?P<number>[0-9]{{1,9}})", re.ASCII)
_OBSERVED_ID = re.compile(r"(?P<engine>[a-z][a-z0-9]*):(?P<name>[\x21-\x7e]+)", re.ASCII)
OWN_ENGINE = "zsr"
"""The engine of jobs that zsr runs itself; their ids do not name it."""

GROUP_ALLOWED = f"a name of up to {LONGEST_GROUP} small letters, digits and _, which begins with a letter"


class GroupName(str):
    """The name of a group: a guest that has no number. In order, all numbers come before all names."""

    __slots__ = ()

    def __lt__(self, other: str | int) -> bool:
        return False if isinstance(other, int) else str.__lt__(self, other)

    def __le__(self, other: str | int) -> bool:
        return False if isinstance(other, int) else str.__le__(self, other)

    def __gt__(self, other: str | int) -> bool:
        return True if isinstance(other, int) else str.__gt__(self, other)

    def __ge__(self, other: str | int) -> bool:
        return True if isinstance(other, int) else str.__ge__(self, other)


GuestId = int | GroupName
"""What names a guest everywhere: its number, or the name of its group. As text, ``str`` of it."""


def parse_guest(text: str) -> GuestId:
    """Read a guest's number or a group's name; raises ConfigError for anything else."""
    if _GUEST_NUMBER.fullmatch(text):
        return int(text)
    if (group := group_name(text)) is not None:
        return group
    raise ConfigError(
        f"'{shortened(text, _LONGEST_SHOWN)}' is no guest.",
        advice=f"A guest is a number, 100 or more, or {GROUP_ALLOWED}.",
    )


def group_name(text: str) -> GroupName | None:
    """Return a group's name; None if the text cannot be one."""
    return GroupName(text) if _GROUP_NAME.fullmatch(text) else None


def entry_of(guest: GuestId) -> str:
    """Return the place of a guest in the cluster file, like ``guests.100`` or ``groups.home``."""
    return f"{section_of(guest)}.{guest}"


def section_of(guest: GuestId) -> str:
    """Return the section of the cluster file that has a guest."""
    return "groups" if isinstance(guest, GroupName) else "guests"


def stored_guest(value: int | str) -> GuestId:
    """Return a guest as a database or JSON has it; a number may have become text there."""
    return value if isinstance(value, int) else int(value) if value.isdecimal() else GroupName(value)


@dataclass(frozen=True, order=True, slots=True)
class JobId:
    """``<guest>-<number>``, both compared as numbers; with the engine in front for a job of another engine.

    Attributes:
        guest: the guest; 0 where an observed job belongs to no guest.
        number: distinguishes the jobs of one guest; 0 where the job has a name.
        engine: the program that runs the job.
        name: the name of an observed job that has no guest and number, like a dataset's.
    """

    guest: GuestId
    number: int
    engine: str = OWN_ENGINE
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> JobId:
        """Read the id of a job that zsr runs, like ``100-0`` or ``home-0``; raises ConfigError for anything else."""
        match = _JOB_ID.fullmatch(text)
        if match is None:
            raise ConfigError(
                f"'{shortened(text, _LONGEST_SHOWN)}' is not a job id.",
                advice="A job id is the guest's number (100 or more) or the group's name, a hyphen and a number, like "
                "100-0 or home-0.",
            )
        return cls(parse_guest(match["guest"]), int(match["number"]))

    @classmethod
    def from_text(cls, text: str) -> JobId:
        """Read what `str` of an id gives, also of a job that is only observed: ``pvesr:100-0``, ``zfs:tank/data``."""
        match = _OBSERVED_ID.fullmatch(text)
        if match is None or match["engine"] == OWN_ENGINE:
            return cls.parse(text)
        if numbers := _NUMBERED.fullmatch(match["name"]):
            numbered = cls(int(numbers["guest"]), int(numbers["number"]), match["engine"])
            if str(numbered) == text:
                return numbered
        return cls(0, 0, match["engine"], match["name"])

    def __str__(self) -> str:
        name = self.name or f"{self.guest}-{self.number}"
        return name if self.engine == OWN_ENGINE else f"{self.engine}:{name}"
