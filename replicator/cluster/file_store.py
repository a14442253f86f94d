"""The cluster store ``file``: one TOML file, edited by hand or by zsr; comments and order stay.

Written atomically under a lock, and only if no editor changed it in between. A damaged file is never overwritten.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import InlineTable, Table

from replicator.cluster.file_format import UPGRADES, Upgrade, format_of, upgraded
from replicator.cluster.file_history import add_to_history
from replicator.cluster.job_fields import stored_moment, stored_values
from replicator.cluster.model import ChangedError, Cluster, Decide
from replicator.cluster.toml_schema import read_cluster
from replicator.common.durations import words
from replicator.common.files import (
    advice_of,
    digest_of,
    file_error,
    is_open_for_writing,
    lock_file,
    open_to_read,
    read_whole,
    replace_text,
    stamp_of,
    writable_by_others,
)
from replicator.config.problems import SettingsError
from replicator.config.toml_text import NotTomlError, decode_toml, parse_toml_text
from replicator.errors import (
    BusyError,
    ConfigError,
    DamagedStoreError,
    InternalError,
    NoSpaceError,
    UnreadableError,
    ZsrError,
)
from replicator.ids import section_of
from replicator.models import Guest, Job, Node

LOCK_TIMEOUT_SECONDS = 10.0
WRITER_TIMEOUT_SECONDS = 5.0
"""Seconds to wait for another program that has the file open for writing."""
_WRITER_POLL_SECONDS = 0.1
_HINT = "Begin with a [nodes.NAME] table for each node, [storages.NAME] and [guests.ID] (docs/settings.md)."
_FIX_BY_HAND = "Fix it by hand; zsr will not modify it."


@dataclass(frozen=True, slots=True)
class FileStore:
    """A cluster in one file (`replicator.cluster.model.ClusterBackend`). ``upgrades``: of older formats."""

    path: Path
    upgrades: Mapping[int, Upgrade] = field(default_factory=lambda: UPGRADES, repr=False)

    @property
    def name(self) -> str:
        """See `ClusterBackend.name`."""
        return str(self.path)

    def read(self) -> Cluster:
        """See `ClusterBackend.read`; hooks are refused in a file that others may write, which the jobs are not."""
        cluster = self.parsed(self._text())
        try:
            refused = writable_by_others(self.path)
        except OSError as error:
            raise file_error(error, f"look at '{self.path}'") from error
        if refused is None:
            return cluster
        hooked = {
            guest.id: replace(guest, hooks_refused=refused)
            for guest in cluster.guests.values()
            if guest.hooks or guest.runtime is not None or guest.check is not None or guest.files
        }
        return replace(cluster, guests={**cluster.guests, **hooked})

    def stamp(self) -> object:
        """See `ClusterBackend.stamp`."""
        return stamp_of(self.path)

    def change(self, decide: Decide, digest: str | None) -> None:
        """See `ClusterBackend.change`."""
        with self._locked():
            text = self._text()
            before = self.parsed(text)
            if digest is not None and digest != before.digest:
                raise self._changed_error()
            after = decide(before)
            present = self._in_present_format(text)
            fresh = _edited(present, before, after)
            if fresh == present:
                return
            self._check(fresh, after)
            if self._text() != text:  # an editor does not know our lock
                raise self._changed_error()
            if present != text:
                self._keep_copy(text)
            self._replace(digest_of(text), fresh)

    def draft(self, text: str, decide: Decide) -> str:
        """Return a text of the file after a change that is not made."""
        before = self.parsed(text)
        after = decide(before)
        fresh = _edited(self._in_present_format(text), before, after)
        self._check(fresh, after)
        return fresh

    def take_over(self, text: str, digest: str) -> None:
        """Replace the file of a ``digest`` by a whole text that came from it.

        Raises:
            ChangedError: the file is another one by now. ConfigError: the text is no valid cluster.
        """
        with self._locked():
            if digest_of(self._text()) != digest:
                raise self._changed_error()
            self.parsed(text)
            self._replace(digest, text)

    def _replace(self, digest: str, fresh: str) -> None:
        """Write a text in the place of one with a digest, and remember that it came from it."""
        try:
            replace_text(self.path, fresh)
        except OSError as error:
            raise _not_written(self.path, error) from error
        with suppress(OSError):  # without it a copy of the old text looks like an edit, and is not replaced
            add_to_history(self.path, digest, digest_of(fresh))

    def _changed_error(self) -> ChangedError:
        return ChangedError(f"'{self.path}' was changed by another program in the meantime.")

    def _text(self) -> str:
        """Return the whole text: a beginning may be valid too, and lack jobs, or restore points to keep."""
        try:
            return decode_toml(self._bytes())
        except FileNotFoundError:
            raise ConfigError(f"There is no cluster file '{self.path}'.", advice=_HINT) from None
        except OSError as error:
            raise UnreadableError(
                f"Could not read the cluster file '{self.path}': {error.strerror}.", advice=advice_of(error)
            ) from error
        except NotTomlError as error:
            raise self._damaged(error) from error

    def _bytes(self) -> bytes:
        end = time.monotonic() + WRITER_TIMEOUT_SECONDS
        while True:
            with open_to_read(self.path) as file:
                if not is_open_for_writing(file.fileno()):
                    return read_whole(file)
            if time.monotonic() >= end:
                raise UnreadableError(
                    f"'{self.path}' has been open for writing for {words(WRITER_TIMEOUT_SECONDS)}, and is not read.",
                    advice="Wait for the program that writes it, or end it. Best write a copy and rename it.",
                )
            time.sleep(_WRITER_POLL_SECONDS)

    def parsed(self, text: str) -> Cluster:
        """Return the cluster of a text; raises as `read` does."""
        raw = self._raw(text)
        present = upgraded(text, format_of(raw, self.name, self.upgrades), self.upgrades)
        if present is not text:
            raw = self._raw(present)
        cluster, problems = read_cluster(raw, digest_of(text))
        if problems:
            raise SettingsError(self.path, problems)
        return cluster

    def _raw(self, text: str) -> dict[str, Any]:
        try:
            return parse_toml_text(text)
        except NotTomlError as error:
            raise self._damaged(error) from error

    def _damaged(self, error: NotTomlError) -> DamagedStoreError:
        return DamagedStoreError(f"The cluster file '{self.path}' is {error}.", advice=_FIX_BY_HAND)

    def _in_present_format(self, text: str) -> str:
        """Return a text of an older format in the present one; raises ConfigError for a newer one."""
        return upgraded(text, format_of(self._raw(text), self.name, self.upgrades), self.upgrades)

    def _keep_copy(self, text: str) -> None:
        """Keep a text of an older format next to the file, to go back to the version that wrote it."""
        number = format_of(self._raw(text), self.name, self.upgrades)
        copy = self.path.with_name(f"{self.path.name}.format-{number}")
        try:
            copy.touch(mode=0o600)
            replace_text(copy, text)
        except OSError as error:
            raise _not_written(copy, error) from error

    def _check(self, fresh: str, wanted: Cluster) -> None:
        """Refuse a text that does not mean exactly the wanted cluster."""
        try:
            after = self.parsed(fresh)
        except ConfigError:
            after = None
        if after is None or after != replace(wanted, digest=after.digest):
            raise InternalError(
                f"Could not write the change into '{self.path}' without changing something else; it is as it was.",
                advice="Change it by hand: zsr takes it over by itself.",
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            lock = lock_file(self.path.with_name(self.path.name + ".lock"), timeout_seconds=LOCK_TIMEOUT_SECONDS)
        except BlockingIOError:
            raise BusyError(
                f"'{self.path}' has been locked by another program for {words(LOCK_TIMEOUT_SECONDS)}."
            ) from None
        except OSError as error:
            raise ConfigError(f"Could not lock '{self.path}': {error.strerror}.", advice=advice_of(error)) from error
        try:
            yield
        finally:
            os.close(lock)


def _not_written(path: Path, error: OSError) -> ZsrError:
    what = f"Could not write '{path}': {error.strerror}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpaceError(what, advice="It is as it was; free space and try again.")
    return ConfigError(what, advice=f"It is as it was. {advice_of(error)}")


def _edited(text: str, before: Cluster, after: Cluster) -> str:
    """Return the file's text with other jobs, owners, epochs and disabled nodes; every other line stays."""
    document = tomlkit.parse(text)
    for job_id, job in after.jobs.items():
        if job_id not in before.jobs:
            _add(document, str(job_id), _fill(tomlkit.table(), job, None))
        elif before.jobs[job_id] != job:
            _fill(document["jobs"][str(job_id)], job, before.jobs[job_id])
        _turn(document["jobs"][str(job_id)], job)
    for job_id in before.jobs.keys() - after.jobs.keys():
        del document["jobs"][str(job_id)]
    for name, node in after.nodes.items():
        if before.nodes[name] != node:
            _set_disabled(document["nodes"][name], node)
    for guest_id, guest in after.guests.items():
        _set_place(document[section_of(guest_id)][str(guest_id)], guest, before.guests[guest_id])
    return tomlkit.dumps(document)


def _turn(table: Table, job: Job) -> None:
    """Write both nodes of a job that follows its guest: it would turn in another way after one more move."""
    if job.source is not None and table.get("source") not in (None, job.source):
        table["target"], table["source"] = job.target, job.source


def _set_place(table: Table, guest: Guest, before: Guest) -> None:
    """Write where a guest is, and where it is going."""
    for key in ("node", "epoch", "moving_to"):
        if getattr(before, key) == getattr(guest, key):
            continue
        if getattr(guest, key) is None:
            table.pop(key, None)
        else:
            table[key] = getattr(guest, key)


def _set_disabled(table: Table, node: Node) -> None:
    """Write whether a node is disabled, and until when."""
    until = None if node.disabled_until is None else stored_moment(node.disabled_until)
    for key, value in (("disabled", node.disabled or None), ("disabled_until", until)):
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value


def _add(document: tomlkit.TOMLDocument, key: str, table: Table) -> None:
    """Put a job's table after the other jobs."""
    jobs = document.setdefault("jobs", tomlkit.table(is_super_table=True))
    if isinstance(jobs, InlineTable):
        inline = tomlkit.inline_table()
        inline.update(table.unwrap())
        jobs[key] = inline
    else:
        jobs[key] = table


def _fill(table: Table, job: Job, before: Job | None) -> Table:
    """Write into a job's table what differs from before; a value at its default is left out, or removed.

    A value that did not change stays as it was written.
    """
    old = None if before is None else stored_values(before)
    for key, value in stored_values(job).items():
        if old is not None and old[key] == value:
            continue
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
    return table
