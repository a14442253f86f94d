"""The configuration of an environment of the crash matrix, drawn by the generator of the fuzz. Pure.

The matrix speaks of volumes by the names that they have where both storages are one (`promises.VOLUMES`). On a node
they may lie elsewhere: `Ground` translates.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.lab.fuzz.configuration import LAYOUTS, SETTINGS, draw
from tests.lab.torture.promises import FILES, VOLUMES, ZVOL, Holding

FROZEN = "/run/torture-frozen"
"""The file that is there while the guest is frozen."""

CASES_OF_A_GROUND = 16
"""How many seeds that follow each other have the same: it takes a while to begin on another one."""

_DATA = "tank/data"
_NAMES = "name,guid,receive_resume_token,zsr:job,origin"
_ALWAYS_FAIL = ("thaw fails", "freeze must not fail")
"""Hooks with which no run succeeds: nothing could be tried with them."""

_CLUSTER = """\
[nodes.node1]
address = "node1"
[nodes.node2]
address = "node2"
port = {port}
stream = "{stream}"
[storages.tank]
path = "{data}"
[storages.fast]
path = "{here}"
paths = {{ node2 = "{there}" }}
[guests.100]
name = "web"
node = "node1"
"""


@dataclass(frozen=True, slots=True)
class Ground:
    """What is drawn: where the storage of the guest's files lies on either node, and the settings of guest and job.

    ``settings`` are those of the job, as in its table; ``hooks`` are as in `tests.lab.fuzz.configuration.HOOKS`.
    """

    here: str = _DATA
    there: str = _DATA
    settings: tuple[tuple[str, str], ...] = ()
    hooks: str = ""
    listed: bool = False
    bookmarks: bool = True

    @classmethod
    def of_case(cls, seed: int) -> Ground:
        """Return the one in which the case of a seed is tried; many that follow each other have the same."""
        drawn = draw(
            random.Random(f"ground {seed // CASES_OF_A_GROUND}"), [each for each in SETTINGS if each != "encryption"]
        )
        guest, job = drawn.guests[0], drawn.jobs[0]
        here, there = LAYOUTS[drawn.layout].get("fast", LAYOUTS[drawn.layout]["data"])
        settings = tuple((key, value) for key in SETTINGS if (value := getattr(job, key)))
        hooks = "well" if guest.hooks in _ALWAYS_FAIL else guest.hooks
        return cls(f"tank/{here}", f"tank/{there}", settings, hooks, guest.listed, drawn.bookmarks)

    def __str__(self) -> str:
        more = [f"{key} = {value}" for key, value in self.settings]
        more += [f"hooks: {self.hooks}"] if self.hooks else []
        more += ["volumes listed"] if self.listed else []
        more += [] if self.bookmarks else ["no bookmarks"]
        return f"files in {self.here} and {self.there}; {', '.join(more) or 'defaults'}"

    @property
    def most(self) -> int:
        """How many sets the target may have at most; a grid keeps no more than the runs of an environment make."""
        keep = dict(self.settings).get("keep", "1")
        return int(keep) if keep.isdecimal() else 1000

    def name(self, volume: str, *, there: bool) -> str:
        """Return the dataset of a volume on a node."""
        path = self.there if there else self.here
        return volume if volume == ZVOL else f"{path}{volume.removeprefix(_DATA)}"

    def names(self, *, there: bool) -> list[str]:
        """Return the datasets of all volumes on a node."""
        return [self.name(volume, there=there) for volume in VOLUMES]

    def paths(self, *, there: bool) -> list[str]:
        """Return the storages' datasets on a node, each once, outer ones first."""
        return sorted({_DATA, self.there if there else self.here})

    def volume(self, dataset: str, *, there: bool) -> str:
        """Return the matrix' name of a dataset on a node."""
        return _renamed(dataset, self.there if there else self.here)

    def listing(self, *, there: bool) -> str:
        """Return the command whose output `holding` reads."""
        paths = self.paths(there=there)
        roots = [path for path in paths if not any(path.startswith(f"{other}/") for other in paths)]
        return f"zfs list -Hp -t all -o {_NAMES} -r {' '.join(roots)}"

    def holding(self, text: str, *, there: bool) -> Holding:
        """Return what a node holds, by the matrix' names; ``text`` is the output of `listing`."""
        path = self.there if there else self.here
        lines = ("\t".join(_renamed(field, path) for field in line.split("\t")) for line in text.splitlines())
        return Holding.read("\n".join(lines))

    def cluster(self, port: int, stream: str, job: Sequence[str]) -> str:
        """Return the cluster file; ``job`` are more lines of the job's table, and without any there is no job."""
        text = _CLUSTER.format(port=port, stream=stream, data=_DATA, here=self.here, there=self.there)
        if self.listed:
            text += f'volumes = ["tank:{ZVOL.removeprefix(_DATA)[1:]}", "fast:{FILES.removeprefix(_DATA)[1:]}"]\n'
        if self.hooks:
            fails = "; false" if self.hooks == "freeze fails" else ""
            text += f'freeze = "touch {FROZEN}{fails}"\nthaw = "rm -f {FROZEN}"\n'
        if job:
            settings = [f'{key} = "{value}"' for key, value in self.settings]
            text += "\n".join(["[jobs.100-0]", 'target = "node2"', *settings, *job, ""])
        return text


def _renamed(name: str, path: str) -> str:
    """Return the matrix' name of what lies below a storage's path."""
    return f"{_DATA}{name[len(path) :]}" if name.startswith(f"{path}/") else name
