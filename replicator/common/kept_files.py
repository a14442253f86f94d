"""A file of a guest as another node keeps it, and the names of its versions. Pure.

Each file has a folder, named by its path, with one file for each version: a line of JSON with mode and owner, and then
the content. The version's name has the set for which it counts, when it was read, and the digest of all that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from urllib.parse import quote, unquote

LONGEST_FOLDER = 255
"""Bytes of a file's name on Linux."""

DRAFT_PREFIX = ".new."
"""Begins the names of versions that are being written; a kill leaves one."""

_TEXTS = {"path", "user", "group"}
_VERSION = re.compile(r"(?P<set>[0-9]{1,12})-(?P<read>[0-9]{1,12})-(?P<digest>[0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file with its mode and owner: their names, and the numbers for a node that does not know these."""

    path: str
    mode: int
    user: str
    group: str
    uid: int
    gid: int
    content: bytes = field(repr=False)

    def encoded(self) -> bytes:
        """Return what is kept of it; equal for equal files."""
        return json.dumps(asdict(self) | {"content": len(self.content)}).encode() + b"\n" + self.content

    @property
    def digest(self) -> str:
        """The SHA-256 of what is kept of it."""
        return sha256(self.encoded()).hexdigest()

    @classmethod
    def decoded(cls, data: bytes) -> KeptFile:
        """Return the file of which this was kept; raises ValueError if it is something else."""
        head, _, content = data.partition(b"\n")
        facts = json.loads(head)
        known = {each.name: str if each.name in _TEXTS else int for each in fields(cls)}
        right = isinstance(facts, dict) and {name: type(value) for name, value in facts.items()} == known
        if not right or facts["content"] != len(content):
            raise ValueError("it is not a version of a guest's file")
        return cls(**(facts | {"content": content}))


@dataclass(frozen=True, order=True, slots=True)
class Version:
    """A version of a file: the set for which it counts and those after it, when it was read, and its digest.

    Times are unix seconds. Of two versions of one set the later one was read while nothing was written to the volumes.
    """

    set_time: int
    read: int
    digest: str

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.set_time}-{self.read}-{self.digest}"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a node keeps of a guest's files: the versions of each, by path, oldest first; and ``drafts`` of a kill."""

    versions: Mapping[str, tuple[Version, ...]] = field(default_factory=dict)
    drafts: tuple[str, ...] = ()

    def of_set(self, path: str, set_time: int) -> Version | None:
        """Return the version that a file had at the time of a set; None if none is kept."""
        return max((each for each in self.versions.get(path, ()) if each.set_time <= set_time), default=None)

    def with_version(self, path: str, version: Version) -> Kept:
        """Return it with another version of a file."""
        return Kept({**self.versions, path: tuple(sorted({*self.versions.get(path, ()), version}))}, self.drafts)

    def without(self, names: Collection[str]) -> Kept:
        """Return it without what has these names below the folder of all (`name_of`)."""
        left = {
            path: tuple(each for each in versions if name_of(path, each) not in names)
            for path, versions in self.versions.items()
        }
        return Kept(
            {path: each for path, each in left.items() if each}, tuple(n for n in self.drafts if n not in names)
        )


def folder_of(path: str) -> str:
    """Return the name of a file's folder."""
    return quote(path, safe="")


def name_of(path: str, version: Version) -> str:
    """Return the name of a version of a file, with the file's folder."""
    return f"{folder_of(path)}/{version.name}"


def parse_listing(text: str) -> Kept:
    """Return what is kept, by the names of all files below a folder: one for each line. Others are left alone."""
    versions: dict[str, list[Version]] = {}
    drafts = []
    for line in text.splitlines():
        name = line.removeprefix("./")
        folder, _, last = name.partition("/")
        if (found := _VERSION.fullmatch(last)) is not None:
            version = Version(int(found["set"]), int(found["read"]), found["digest"])
            versions.setdefault(unquote(folder), []).append(version)
        elif last.startswith(DRAFT_PREFIX):
            drafts.append(name)
    return Kept({path: tuple(sorted(each)) for path, each in versions.items()}, tuple(drafts))
