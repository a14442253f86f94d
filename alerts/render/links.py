"""The links of a message: this node's status page, and the dashboard of its subject. Pure."""

from __future__ import annotations

from urllib.parse import quote

from alerts.notice import Notice
from alerts.render.content import Link, RenderContext

REPLICATION, GUEST = "zsr-replication", "zsr-guest"
"""The dashboards' uids, which never change (a test holds them against the dashboards)."""


def links(notice: Notice, context: RenderContext) -> tuple[Link, ...]:
    """The links of a notice; none where the settings have no URL."""
    found = []
    if context.page:
        found.append(Link("Status page", context.page))
    if context.dashboard:
        base = context.dashboard.rstrip("/")
        guests = {subject.guest for subject in notice.subjects}
        if len(guests) == 1:
            found.append(Link("Dashboard", f"{base}/d/{GUEST}?var-guest={quote(str(guests.pop()))}"))
        else:
            found.append(Link("Dashboard", f"{base}/d/{REPLICATION}"))
    return tuple(found)
