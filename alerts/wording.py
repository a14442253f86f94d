"""Which words a notice gets: one job, several, or none. Pure."""

from __future__ import annotations

from datetime import tzinfo

from alerts.groups import digest_lines, failures, recoveries
from alerts.messages import Kind, Message, failure, foot, one_line, recovery, sample_message
from alerts.notice import Notice, NoticeKind


def compose(notice: Notice, now: float, zone: tzinfo) -> Message:
    """The words of a notice, as they are at a moment (unix time); ``zone`` is that of the times in the text."""
    one = notice.subjects[0] if len(notice.subjects) == 1 else None
    match notice.kind:
        case NoticeKind.TEST:
            return sample_message(notice.about, notice.node)
        case NoticeKind.DIGEST:
            title, lines = digest_lines(notice, zone)
        case NoticeKind.RECOVERED | NoticeKind.RPO_KEPT | NoticeKind.TARGET_BACK if one is not None:
            title, lines = recovery(notice, one, now, zone)
        case NoticeKind.RECOVERED | NoticeKind.RPO_KEPT | NoticeKind.TARGET_BACK if notice.subjects:
            title, lines = recoveries(notice, zone)
        case _ if one is not None:
            title, lines = failure(notice, one, now, zone)
        case _ if notice.subjects:
            title, lines = failures(notice, now, zone)
        case _:
            title, lines = _bare(notice)
    told = ["", one_line(notice.text)] if notice.text and notice.subjects and one is not None else []
    return Message(_kind(notice), one_line(title), "\n".join([*lines, *told, *foot(notice, now, zone)]), notice.key)


def _kind(notice: Notice) -> Kind:
    if notice.kind is NoticeKind.DIGEST:
        return Kind.TEST
    well = notice.closes or notice.kind in (NoticeKind.RECOVERED, NoticeKind.RPO_KEPT, NoticeKind.TARGET_BACK)
    return Kind.RECOVERED if well else Kind.FAILED


def _bare(notice: Notice) -> tuple[str, list[str]]:
    about, node = one_line(notice.about), one_line(notice.node)
    titles = {
        NoticeKind.TARGET_UNREACHABLE: f"Node {about} does not answer to {node}",
        NoticeKind.TARGET_BACK: f"Node {about} answers again to {node}",
        NoticeKind.SETTINGS_REJECTED: f"Settings of {node} are rejected; the last good ones stay in force",
        NoticeKind.SETTINGS_ACCEPTED: f"Settings of {node} are accepted again",
        NoticeKind.UNDELIVERED: f"Notification target '{about}' has taken nothing for a day",
        NoticeKind.RECOVERED: f"Notification target '{about}' takes messages again",
    }
    if notice.foreign is not None:
        return notice.foreign.title, notice.foreign.text.splitlines()
    title = titles.get(notice.kind, str(notice.kind))
    what_to_do = {
        NoticeKind.SETTINGS_REJECTED: "What is wrong with them: zsr config check",
        NoticeKind.UNDELIVERED: f"Try it: zsr notify test {about}. What it missed: zsr notify log --failed",
    }
    advice = what_to_do.get(notice.kind)
    return title, [f"{title}.", *notice.text.splitlines(), *([advice] if advice else [])]
