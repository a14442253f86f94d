"""A notice as JSON for machines: documented and versioned in docs/notification.schema.json. Pure.

Version 1 may grow fields; none changes its meaning or goes away without another version. Times are RFC 3339 in UTC,
lengths seconds, sizes bytes; unknown values are null.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from alerts.foreign import Foreign
from alerts.notice import Notice
from alerts.render.compose import compose
from alerts.render.content import RenderContext
from alerts.subject import Digest, Subject

VERSION = 1

_ID = re.compile(r"[A-Za-z0-9._:/-]{1,200}")


def document(notice: Notice, context: RenderContext, title: str, text: str) -> dict[str, object]:
    """The document of a notice; ``title`` and ``text`` are those of its plain text message."""
    return {
        "version": VERSION,
        "id": notice.key,
        "event": str(notice.kind),
        "severity": str(notice.severity),
        "time": moment(notice.time),
        "node": notice.node,
        "thread": notice.thread,
        "opens": notice.opens,
        "closes": notice.closes,
        "title": title,
        "text": text,
        "about": notice.about,
        "details": notice.text,
        "jobs": [_job(subject) for subject in notice.subjects],
        "digest": None if notice.digest is None else _digest(notice.digest),
        "foreign": None if notice.foreign is None else _foreign(notice.foreign),
        "links": {link.label.lower().replace(" ", "_"): link.url for link in compose(notice, context).links},
    }


def moment(time: float | None) -> str | None:
    """A unix time as RFC 3339, to the millisecond."""
    if time is None:
        return None
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _job(subject: Subject) -> dict[str, object]:
    return {
        "job": str(subject.job),
        "guest": subject.guest,
        "guest_name": subject.guest_name,
        "source": subject.source,
        "target": subject.target,
        "run": subject.run,
        "error_class": subject.error_class or None,
        "message": subject.message,
        "advice": subject.advice,
        "consecutive_failures": subject.consecutive,
        "failing_since": moment(subject.failing_since),
        "last_sync": moment(subject.last_sync),
        "rpo_seconds": subject.rpo,
        "next_run": moment(subject.next_run),
        "worst_lag_seconds": subject.worst_lag,
        "removing": subject.removing,
        "lost": subject.lost,
    }


def _digest(digest: Digest) -> dict[str, object]:
    return {
        "begin": moment(digest.begin),
        "end": moment(digest.end),
        "jobs": [
            {
                "job": str(line.subject.job),
                "condition": line.condition,
                "lag_seconds": None if line.subject.last_sync is None else digest.end - line.subject.last_sync,
                "rpo_seconds": line.subject.rpo,
                "guest": line.subject.guest,
                "guest_name": line.subject.guest_name,
                "target": line.subject.target,
                "runs": line.runs,
                "failures": line.failures,
                "sent_bytes": line.sent_bytes,
                "slowest_seconds": line.slowest,
                "oldest_restore_point": moment(line.oldest_restore_point),
            }
            for line in digest.lines
        ],
    }


def _foreign(foreign: Foreign) -> dict[str, object]:
    return {"title": foreign.title, "text": foreign.text, "labels": dict(foreign.labels)}


def header_id(key: str) -> str | None:
    """A notice's key if it is a valid header value; else None."""
    return key if _ID.fullmatch(key) else None
