"""The title of a notice: its first 60 characters, all of a phone's lock screen, name the guest and the event. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import PurePath

from alerts.notice import Notice, NoticeKind
from alerts.subject import Digest, DigestLine, Subject
from alerts.text import one_line, shortened

NOT_WELL = frozenset({"error", "late"})
"""Conditions of a job that a digest counts as not well; "late" is one without a copy as fresh as promised."""
OFF = frozenset({"disabled", "removing"})
"""Conditions of a job for which nothing is promised."""
UNCONFIRMED = "unconfirmed"
"""The condition of a job whose target was edited since it was last looked at."""

_DIGITS_SHOWN = 14
"""Digits of guests' numbers in a title; more would push the rest out of sight."""
GONE = "its target"
"""What the target of a job is called that is not there any more."""


def title_of(notice: Notice) -> str:
    """One line without control characters."""
    return one_line(_title(notice))


def guests_phrase(subjects: Sequence[Subject], *, named: bool = True) -> str:
    """``guest 100 web``, ``guests 100 and 101``, ``guests 100, 101 and 198 more``."""
    known = {subject.guest: subject.guest_name for subject in subjects}
    numbers = list(known)
    if len(numbers) == 1:
        name = shortened(one_line(known[numbers[0]])) if named else ""
        return f"guest {numbers[0]} {name}".rstrip()
    shown = list(map(str, numbers[:2]))
    if len("".join(shown)) > _DIGITS_SHOWN:
        shown = shown[:1]
    more = [f"{len(numbers) - len(shown)} more"] if len(numbers) > len(shown) else []
    *begin, end = [*shown, *more]
    return f"guests {', '.join(begin)} and {end}"


def target_phrase(subjects: Sequence[Subject]) -> str:
    """The target node, or how many nodes there are."""
    targets = {subject.target for subject in subjects}
    return shortened(one_line(targets.pop())) or GONE if len(targets) == 1 else f"{len(targets)} nodes"


def action_word(subjects: Sequence[Subject]) -> str:
    """What the jobs are doing: replication or removal."""
    return "removal" if subjects and all(subject.removing for subject in subjects) else "replication"


class Standing(StrEnum):
    """What a digest says of a job. Only one with a proven copy as fresh as promised is well."""

    WELL = "well"
    BAD = "not well"
    WAITING = "no proven copy yet"
    OFF = "disabled or being removed"


def standing(line: DigestLine) -> Standing:
    """What a digest says of a job: the same in its title, its first sentence and its row."""
    if line.condition in OFF:
        return Standing.OFF
    if line.condition in NOT_WELL:
        return Standing.BAD
    waits = line.subject.last_sync is None or line.condition == UNCONFIRMED
    return Standing.WAITING if waits else Standing.WELL


def standings(digest: Digest) -> Mapping[Standing, Sequence[Subject]]:
    """The jobs of a digest by what it says of them, each in its order."""
    found: dict[Standing, list[Subject]] = {each: [] for each in Standing}
    for line in digest.lines:
        found[standing(line)].append(line.subject)
    return found


def _title(notice: Notice) -> str:
    if notice.kind is NoticeKind.DIGEST and notice.digest is not None:
        return _digest(notice.node, notice.digest)
    if notice.kind is NoticeKind.ALERTMANAGER and notice.foreign is not None:
        return notice.foreign.title
    if notice.subjects:
        return _of_jobs(notice)
    node, about = shortened(one_line(notice.node)), shortened(one_line(notice.about))
    title = notice.kind.facts.title or f"zsr on {{node}}: {notice.kind} {{about}}"
    return title.format(node=node, about=about, file=PurePath(notice.about).name).rstrip()


def _of_jobs(notice: Notice) -> str:
    """The title about jobs; its template may name Who, guests, what, cause, to, about, copies and replicas."""
    subjects = notice.subjects
    who = guests_phrase(subjects)
    is_one = who.startswith("guest ")
    classes = sorted({subject.error_class for subject in subjects if subject.error_class})
    title = notice.kind.facts.jobs_title or f"{{Who}}: {notice.kind}"
    return title.format(
        Who=f"{who[0].upper()}{who[1:]}",
        guests=guests_phrase(subjects, named=False),
        what=action_word(subjects),
        cause=f" ({classes[0]})" if len(classes) == 1 else "",
        to=target_phrase(subjects),
        about=shortened(one_line(notice.about)),
        copies="copy" if is_one else "copies",
        replicas="replica" if is_one else "replicas",
    )


def _digest(node: str, digest: Digest) -> str:
    found, count = standings(digest), len(digest.lines)
    bad, waiting, off = found[Standing.BAD], len(found[Standing.WAITING]), len(found[Standing.OFF])
    where = shortened(one_line(node))
    if not count:
        return f"Digest of {where}: there are no jobs"
    if bad:
        return f"{len(bad)} of {count} jobs not well on {where}: {guests_phrase(bad)}"
    if not waiting and not off:
        return f"All {count} jobs are well on {where}" if count > 1 else f"The one job is well on {where}"
    others = [f"{waiting} {'has' if waiting == 1 else 'have'} {Standing.WAITING}"] if waiting else []
    others += [f"{off} {'is' if off == 1 else 'are'} {Standing.OFF}"] if off else []
    return f"{len(found[Standing.WELL])} of {count} jobs are well on {where}; {', '.join(others)}"
