"""The title of a notice: its first 60 characters, all of a phone's lock screen, name the guest and the event. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from alerts.notice import Digest, DigestLine, Notice, NoticeKind, Subject
from alerts.text import one_line, shortened

NOT_WELL = frozenset({"error", "late"})
"""Conditions of a job that a digest counts as not well; a job whose promise is broken counts too."""

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


def not_well(digest: Digest) -> list[Subject]:
    """The jobs of a digest that are not well, in its order."""
    return [line.subject for line in digest.lines if line.condition in NOT_WELL or is_line_broken(line, digest)]


def is_line_broken(line: DigestLine, digest: Digest) -> bool:
    """Whether the promise of a digest's job is broken; nothing is promised for a disabled one."""
    return line.condition != "disabled" and line.subject.is_broken(digest.end)


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
    bad, count = not_well(digest), len(digest.lines)
    where = shortened(one_line(node))
    if not count:
        return f"Digest of {where}: there are no jobs"
    if not bad:
        return f"All {count} jobs are well on {where}" if count > 1 else f"The one job is well on {where}"
    return f"{len(bad)} of {count} jobs not well on {where}: {guests_phrase(bad)}"
